"""A set of nodes started from a launch file, as ``./polytask up`` does, for as long as a job needs them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from polytask_cli.nodes import processes


class StackError(RuntimeError):
    """The nodes have ended; shows the end of their log."""


class Stack:
    """Nodes of one launch file, each a process of its own; on leaving the context all of them are ended."""

    def __init__(self, launch: str, arguments: Mapping[str, str], log: Path) -> None:
        """``launch``: name or path of a launch file; ``arguments``: its arguments; output goes to ``log``."""
        self.log = log
        self._command = [sys.executable, "-m", "polytask_cli", "up", launch]
        self._command += [f"{name}:={value}" for name, value in arguments.items()]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Stack:
        self._process = processes.start(self._command, log=self.log)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            processes.stop([self._process])

    def check(self) -> None:
        """Raise StackError when the nodes have ended."""
        if self._process is not None and self._process.poll() is not None:
            raise StackError(
                f"the nodes of '{' '.join(self._command[2:])}' ended (exit status {self._process.returncode}). "
                f"The end of {self.log}:\n{processes.tail(self.log)}"
            )
