"""`docs`: build the documentation as a site."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import typer

from polytask_cli.commands.common import console, reporting, repository, run_tool
from polytask_cli.environment.layout import Layout, SetupError, read_mark, write_mark
from polytask_cli.environment.packages import install, split_lock
from polytask_cli.environment.progress import Step, run


def docs() -> None:
    """Build the documentation, with the reference of the Python modules, into site/; a warning is an error.

    The tools for it are in an environment of their own, .venv-docs, which the first call makes (about 30 MB to fetch).
    """
    root = repository()
    with reporting(SetupError):
        python = provide_tools(root)
    os.environ["NO_MKDOCS_2_WARNING"] = "1"  # the versions are pinned
    status = run_tool([str(python), "-m", "mkdocs", "build", "--strict"], root)
    if status == 0:
        console.print(f"open {root / 'site' / 'index.html'}", markup=False, soft_wrap=True)
    raise typer.Exit(status)


def provide_tools(root: Path) -> Path:
    """Make the environment that requirements-docs.lock describes, unless it is there.

    Returns:
        Its interpreter.

    Raises:
        SetupError: when Python's venv module or pip fails; names the cause, and the file that has all the output.
    """
    layout, lock = Layout(root, "-docs"), root / "requirements-docs.lock"
    key = hashlib.sha256(f"{root}\n{sys.version_info[:2]}\n{lock.read_text()}".encode()).hexdigest()
    if read_mark(layout.packages_mark) == key:
        return layout.python
    with Step(1, 2, "virtual environment of the documentation") as step:
        log = root / ".setup-venv-docs.log"  # not in the folder that is cleared
        run([sys.executable, "-m", "venv", "--clear", str(layout.venv)], step, log)
        log.unlink()
    total = len(split_lock(lock.read_text(), distribution=False)[0])
    with Step(2, 2, "its Python packages") as step:
        install(layout, step, ["--no-deps", "-r", str(lock)], total)
    write_mark(layout.packages_mark, key)
    return layout.python


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Checks")(docs)
