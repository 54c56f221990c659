"""Nodes started as a user starts them, `./polytask up FILE`, and everything they leave behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

MARK = "POLYTASK_TEST_STACK"
"""Environment variable by which all processes of a stack are found, whoever their parent is by then."""
PATIENCE = 120.0
"""s for what takes a second on an idle machine."""

running: list[Stack] = []
"""Stacks that have not been closed: their output is shown when a test fails."""


class Stack:
    """One launch file's processes."""

    def __init__(self, folder: Path, launch: str, **arguments: object) -> None:
        """``launch``: name of one of the project's files; output goes to a log in ``folder``."""
        self._id = uuid.uuid4().hex
        self.name = " ".join([launch, *(f"{name}:={value}" for name, value in arguments.items())])
        self._log = folder / f"{launch}-{self._id[:6]}.log"
        command = [sys.executable, "-m", "polytask_cli", "up", *self.name.split(" ")]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, MARK: self._id},
                start_new_session=True,
            )
        running.append(self)

    def output(self) -> str:
        """All that its processes have printed so far."""
        return self._log.read_text(errors="replace")

    def alive(self) -> bool:
        """Whether the runner still runs."""
        return self.process.poll() is None

    def processes(self) -> dict[int, str]:
        """Command lines of all its processes that still run, by process id."""
        found = {}
        wanted = f"{MARK}={self._id}".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # gone meanwhile
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def interrupt(self) -> float:
        """Press Ctrl-C and wait for the end; gives the seconds that it took."""
        began = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(PATIENCE)
        return time.monotonic() - began

    def kill(self, containing: str = "") -> int:
        """SIGKILL to all its processes whose command line contains a text, at once; gives how many there were."""
        pids = [pid for pid, command in self.processes().items() if containing in command]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not containing:
            self.process.wait(PATIENCE)
        return len(pids)

    def close(self) -> None:
        """End it in order; by force what does not."""
        try:
            if self.alive():
                self.interrupt()
        finally:
            self.kill()
            running.remove(self)
