"""The process of one job: ``python -m polytask_cli.demo.jobs.worker SPEC.json``.

Progress and the result go to standard output as lines of JSON; everything else goes to standard error.
"""

from __future__ import annotations

import json
import os
import pkgutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

INTERRUPTED = 130


@dataclass
class Report:
    """How a job tells of its progress, and learns that it should stop."""

    channel: IO[str]
    results: Mapping[str, Any] = field(default_factory=dict)
    """Results of the jobs that this one needs, by name."""
    stopping: bool = False
    patient: bool = False
    """Set by a job that looks at ``stopping`` itself, to save its state; others are interrupted where they are."""
    _last: float = 0.0
    _raised: bool = False

    def __call__(self, done: float, total: float, text: str = "") -> None:
        """Tell how far the job is; at most ten times a second."""
        now = time.monotonic()
        if now - self._last >= 0.1 or done >= total:
            self._last = now
            self.send({"done": done, "total": total, "text": text})

    def send(self, message: Mapping[str, Any]) -> None:
        """Write one line."""
        self.channel.write(json.dumps(message) + "\n")
        self.channel.flush()

    def stop(self, number: int, frame: object) -> None:
        """Signal handler: the first lets a patient job end by itself; cleaning up is not disturbed by further ones."""
        if self._raised or (self.patient and not self.stopping):
            self.stopping = True
            return
        self.stopping = self._raised = True
        raise KeyboardInterrupt


def main(spec: Path) -> int:
    """Do the job described in the file; gives the exit status."""
    # Libraries may print; keep the channel to ourselves.
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    content = json.loads(spec.read_text())
    report = Report(channel, content["results"])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, report.stop)
    try:
        work: Callable[[Any, Report], Any] = pkgutil.resolve_name(content["work"])
        result = work(content["spec"], report)
    except KeyboardInterrupt:
        return INTERRUPTED
    if report.stopping:
        return INTERRUPTED
    report.send({"result": result})
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
