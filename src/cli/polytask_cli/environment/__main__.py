"""Prepare the environment; called by `./polytask` when something is missing or out of date."""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
import time
from pathlib import Path

from . import packages, system, workspace
from .layout import Layout, SetupError, read_mark, write_mark
from .progress import HEARTBEAT, Step


def take_lock(layout: Layout) -> int:
    """Wait until no other set-up of this checkout is running; file descriptor of the lock."""
    handle = os.open(layout.root / ".setup.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        began = time.monotonic()
        said = 0.0
        while True:
            waited = time.monotonic() - began
            if waited >= said:
                said += HEARTBEAT
                text = f"another set-up of this checkout is running; waiting for it, {waited:.0f} s"
                print(f"polytask: {text}", file=sys.stderr, flush=True)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.2)
    return handle


def set_up(layout: Layout, signature: str) -> None:
    """Take the four steps.

    Args:
        signature: of what everything is made from, taken before; written down once everything is complete.

    Raises:
        SetupError: saying what is missing and how to mend it.
    """
    lock = take_lock(layout)
    if read_mark(layout.ready_mark) == signature:
        return  # somebody else's set-up did it while this one waited
    began = time.monotonic()
    on_what = f"ROS 2 {layout.distribution}" if layout.distribution else "ROS 2 from Python wheels"
    what = "what a robot needs, " if layout.robot else ""
    print(f"polytask: setting up {what}{layout.root} on {on_what}", file=sys.stderr)

    with Step(1, 4, "system packages") as step:
        system.provide(layout, step)
    with Step(2, 4, "virtual environment") as step:
        packages.provide_venv(layout, step, lock)
        write_mark(layout.set_mark, "robot" if layout.robot else "all")
    with Step(3, 4, "Python packages") as step:
        packages.provide_packages(layout, step, lock)
    with Step(4, 4, "ROS 2 workspace") as step:
        if not layout.distribution:
            workspace.write_prefix(layout)
        workspace.build(layout, step, lock)
        workspace.write_script(layout)
    write_mark(layout.ready_mark, signature)
    print(f"polytask: ready after {time.monotonic() - began:.0f} s", file=sys.stderr)


def main() -> int:
    """Exit status: 0 ready, 1 something is missing, 130 stopped by the user."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--suffix", default="")
    parser.add_argument("--signature", required=True)
    parser.add_argument("--set", choices=["all", "robot"], default="all")
    arguments = parser.parse_args()
    layout = Layout(arguments.root, arguments.suffix, arguments.set == "robot")

    def terminate(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, terminate)
    try:
        set_up(layout, arguments.signature)
    except SetupError as error:
        print(f"polytask: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"polytask: set-up failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("polytask: set-up stopped; the same command carries on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
