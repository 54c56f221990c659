"""Helpers of the commands: the checkout's folder, errors, running a program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer
from rich.console import Console

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def repository() -> Path:
    """The checkout that `./polytask` was started from.

    Raises:
        typer.Exit: when the command was started in another way and there is none.
    """
    root = os.environ.get("POLYTASK_ROOT")
    if root is None:
        fail("this command works on the checkout of polytask-ros: start it as ./polytask")
    return Path(root)


def fail(message: str, status: int = 1) -> NoReturn:
    """End the command with a reason."""
    _say(message)
    raise typer.Exit(status)


def _say(message: str) -> None:
    errors.print("[bold red]polytask:[/] ", end="")
    errors.print(message, markup=False, soft_wrap=True)  # a path may have brackets


@contextmanager
def reporting(*kinds: type[Exception]) -> Iterator[None]:
    """Turn expected errors into a message and exit status 1, in place of a traceback."""
    try:
        yield
    except kinds as error:
        _say(str(error))
        raise typer.Exit(1) from error


def run_tool(command: Sequence[str], cwd: Path) -> int:
    """Run a program in the foreground and wait for it, through Ctrl-C (which it gets too); its exit status."""
    sys.stdout.flush()
    process = subprocess.Popen(command, cwd=cwd)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
