"""First steps of an executable, before anything heavy is imported; standard library only."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

LAUNCHER = "POLYTASK_LAUNCHER"
"""Environment variable by which the launch files tell a node the process id of who launches it."""

_PR_SET_PDEATHSIG = 1
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_libc = ctypes.CDLL(None)  # loaded here: between fork and exec as little as possible should happen


def executable(module: str) -> Callable[[], None]:
    """``main`` of an executable, for ``setup.py``: runs that of a module that takes seconds to import.

    A signal that comes while it is imported ends the process at once and quietly, with status 0, as it ends a running
    node; and the node ends with its launcher, see :func:`end_with_launcher`.
    """

    def main() -> None:
        _on_signals(lambda: os._exit(0))  # nothing is open yet, and an exception might be swallowed by what is imported
        end_with_launcher()
        try:
            run = importlib.import_module(module).main
        except ModuleNotFoundError as error:
            sys.exit(f"error: {explain_missing(error)}")
        _on_signals(lambda: sys.exit(0))
        run()

    return main


def explain_missing(error: ModuleNotFoundError) -> str:
    """One sentence on a Python module that is not installed; a module of this project is a fault, which is raised."""
    name = str(error.name).split(".")[0]
    if name.startswith("polytask_"):
        raise error
    if os.environ.get("POLYTASK_SET") == "robot":
        return f"this needs {name}, which is not among what a robot needs; `./polytask setup` installs all packages"
    return f"this needs {name}, which is not installed"


def end_with_launcher() -> None:
    """Be told to end (SIGINT) when the launcher is gone, however it went; ends the process if it is gone already.

    Only for a node that a launch file started: by a shell, nohup or systemd, it has no launcher and lives on by itself.
    """
    launcher = os.environ.get(LAUNCHER, "")
    if not launcher.isdecimal():
        return
    if os.getppid() == int(launcher):
        end_with_parent(int(launcher))
    elif not os.path.exists(f"/proc/{launcher}"):
        # With something between the two, such as a debugger (launch-prefix), this is all that can be seen.
        _leave(launcher)


def end_with_parent(parent: int, number: signal.Signals = signal.SIGINT) -> None:
    """Have the kernel send a signal to this process when its parent ends; ends it if that is gone already. Linux only.

    Args:
        parent: process id that the parent had when it started this process.
        number: the signal.
    """
    if not sys.platform.startswith("linux"):
        return
    _libc.prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it ended before the kernel was asked
        _leave(str(parent))


def _leave(parent: str) -> NoReturn:
    with contextlib.suppress(OSError):  # what read this may be gone as well
        os.write(2, f"process {parent}, which started this one, is gone; this one ends too\n".encode())
    os._exit(1)


def _on_signals(do: Callable[[], None]) -> None:
    for number in _SIGNALS:
        signal.signal(number, lambda *_: do())
