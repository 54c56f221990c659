"""Child processes that never outlive the demo."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from polytask_robot_io.starting import end_with_parent

FIRST_DOMAIN, DOMAINS = 51, 50
"""ROS domains that the command uses: apart from those of tests (conftest.py), and up to 100, beyond which their ports
reach into those that the system hands out."""
PATIENCE = (2.5, 1.5)
"""Seconds a child gets after SIGINT, and then after SIGTERM, before it is killed; within five seconds in all."""


def start(command: Sequence[str], *, log: Path) -> subprocess.Popen[str]:
    """Start ``command`` in a session of its own, its output appended to ``log``.

    A session of its own keeps a Ctrl-C at the terminal from reaching it before :func:`stop` says so. Must be called
    from the main thread: the child ends when the thread that started it ends.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(command)}\n")
        file.flush()
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            text=True,
            start_new_session=True,
            preexec_fn=partial(end_with_parent, os.getpid(), signal.SIGTERM),
        )


def stop(children: Iterable[subprocess.Popen[str]]) -> None:
    """End children and whatever they started: SIGINT, then SIGTERM, then SIGKILL, to their whole sessions."""
    children = list(children)
    for number, patience in ((signal.SIGINT, PATIENCE[0]), (signal.SIGTERM, PATIENCE[1]), (signal.SIGKILL, 1.0)):
        left = [child for child in children if child.poll() is None]
        for child in left:
            _signal_group(child, number)
        until = time.monotonic() + patience
        while any(child.poll() is None for child in left) and time.monotonic() < until:
            time.sleep(0.02)
        if all(child.poll() is not None for child in children):
            break
    for child in children:  # what a child left behind in its session
        _signal_group(child, signal.SIGKILL)


def _signal_group(child: subprocess.Popen[str], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, for an error message."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
