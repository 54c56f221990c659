"""Single key presses from a terminal, which is given back as it was, whatever happens."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import threading
import tty
from typing import TextIO

from polytask_demo_recorder.errors import RecordingError


def _leave(number: int, _: object) -> None:
    raise SystemExit(128 + number)


class KeyTerminal:
    """A terminal that gives keys at once and does not show them; Ctrl-C still interrupts. A context manager."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """``stream``: the terminal; standard input when not given.

        Raises:
            RecordingError: that is no terminal.
        """
        self._stream = sys.stdin if stream is None else stream
        if not self._stream.isatty():
            raise RecordingError(
                "the keyboard needs a terminal as standard input; start it from a shell (with ssh: `ssh -t`), "
                "not from a launch file or a pipe"
            )
        self._descriptor = self._stream.fileno()

    def __enter__(self) -> KeyTerminal:
        self._before = termios.tcgetattr(self._descriptor)
        if threading.current_thread() is threading.main_thread():
            # These would end the process at once, and leave a terminal that shows nothing of what is typed.
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
                signal.signal(number, _leave)
        tty.setcbreak(self._descriptor)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(self._descriptor, termios.TCSANOW, self._before)

    def read(self) -> str:
        """Keys pressed since the last call; never waits. Ctrl-D when the terminal was closed."""
        found = b""
        while select.select([self._descriptor], [], [], 0)[0]:
            try:
                read = os.read(self._descriptor, 64)
            except OSError:  # the connection broke
                read = b""
            if not read:
                return found.decode(errors="ignore") + "\x04"
            found += read
        return found.decode(errors="ignore")
