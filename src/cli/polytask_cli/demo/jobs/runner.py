"""Pieces of the demo, each in a process of its own, two at a time, resumed by what they left behind."""

from __future__ import annotations

import hashlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from polytask_cli.demo.options import DemoError
from polytask_cli.files import write_json
from polytask_cli.nodes import processes
from polytask_cli.nodes.processes import DOMAINS, FIRST_DOMAIN

WORKER = "polytask_cli.demo.jobs.worker"
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Attributes:
        name: unique, also its file names.
        phase: the phase it belongs to, for the table of times.
        work: function that does it, as "package.module:function"; called with (spec, report).
        spec: JSON-able arguments.
        needs: names of jobs that must be finished before.
        alone: nothing else may run beside it (measurements of time).

    """

    name: str
    phase: str
    work: str
    spec: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    alone: bool = False

    def fingerprint(self) -> str:
        """Equal for jobs that do the same."""
        text = json.dumps([self.name, self.work, self.spec], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass
class Finished:
    """What a job gave, and when it ran on the demo's clock (s since the demo began)."""

    result: dict[str, Any]
    start: float
    end: float
    earlier: bool = False
    """It was done in an earlier sitting."""


class Clock:
    """Seconds the demo has worked, over all sittings; kept in the output folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._began = time.monotonic()
        try:
            self.earlier = float(json.loads(path.read_text())["seconds"])
        except (OSError, ValueError, KeyError):
            self.earlier = 0.0

    def now(self) -> float:
        """Seconds so far."""
        return self.earlier + time.monotonic() - self._began

    def keep(self) -> None:
        """Write the time down, for the next sitting."""
        write_json(self._path, {"seconds": round(self.now(), 2)})


class Display(Protocol):
    """Where progress is shown."""

    def begin(self, job: Job) -> None:
        """The job has started."""

    def update(self, job: Job, done: float, total: float, text: str) -> None:
        """The job got this far."""

    def end(self, job: Job, seconds: float, earlier: bool) -> None:
        """The job is finished."""


@dataclass
class _Running:
    job: Job
    slot: int
    process: subprocess.Popen[str]
    start: float
    log: Path
    lines: str = ""
    result: dict[str, Any] | None = None


class Runner:
    """Runs jobs in order of the list as their needs are met; at most ``slots`` at once."""

    def __init__(self, output: Path, clock: Clock, display: Display, slots: int = 2) -> None:
        self.output, self.clock, self.display, self.slots = output, clock, display, slots
        self.finished: dict[str, Finished] = {}
        self._running: list[_Running] = []
        self._selector = selectors.DefaultSelector()

    def run(self, jobs: Sequence[Job]) -> dict[str, Finished]:
        """Run all jobs; those that an earlier sitting finished are read. Raises DemoError when one fails."""
        waiting = [job for job in jobs if not self._earlier(job)]
        try:
            while waiting or self._running:
                for job in list(waiting):
                    if self._may_start(job):
                        waiting.remove(job)
                        self._start(job)
                if not self._running:
                    raise DemoError(f"jobs wait for what never comes: {', '.join(job.name for job in waiting)}")
                self._listen()
        finally:
            processes.stop(running.process for running in self._running)
            if self._running:
                self.clock.keep()
            self._running.clear()
        return {job.name: self.finished[job.name] for job in jobs}

    def _path(self, job: Job) -> Path:
        return self.output / "jobs" / f"{job.name}.json"

    def _earlier(self, job: Job) -> bool:
        try:
            kept = json.loads(self._path(job).read_text())
            if kept["fingerprint"] != job.fingerprint():
                return False
            self.finished[job.name] = Finished(kept["result"], kept["start"], kept["end"], earlier=True)
        except (OSError, ValueError, KeyError):
            return False
        self.display.end(job, kept["end"] - kept["start"], earlier=True)
        return True

    def _may_start(self, job: Job) -> bool:
        if any(need not in self.finished for need in job.needs):
            return False
        if self._running and (job.alone or any(running.job.alone for running in self._running)):
            return False
        return len(self._running) < self.slots

    def _start(self, job: Job) -> None:
        spec = self.output / "jobs" / f"{job.name}.spec.json"
        results = {need: self.finished[need].result for need in job.needs}
        write_json(spec, {"work": job.work, "spec": dict(job.spec), "results": results})
        log = self.output / "logs" / f"{job.name}.log"
        command = [sys.executable, "-m", WORKER, str(spec)]
        slot = min(set(range(self.slots)) - {running.slot for running in self._running})
        # Each slot has a ROS domain of its own, so that its nodes hear only each other.
        domain = FIRST_DOMAIN + (os.getpid() * self.slots + slot) % DOMAINS
        env = {**ENVIRONMENT, "ROS_DOMAIN_ID": str(domain)}
        process = processes.start(command, log=log, env=env, stdout=subprocess.PIPE)
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        running = _Running(job, slot, process, self.clock.now(), log)
        self._selector.register(process.stdout, selectors.EVENT_READ, running)
        self._running.append(running)
        self.display.begin(job)

    def _listen(self) -> None:
        for key, _ in self._selector.select(timeout=0.5):
            running: _Running = key.data
            data = os.read(key.fd, 1 << 16)
            if data:
                self._take(running, data.decode(errors="replace"))
            else:
                self._selector.unregister(key.fileobj)
                self._end(running)

    def _take(self, running: _Running, text: str) -> None:
        *lines, running.lines = (running.lines + text).split("\n")
        for line in lines:
            message = json.loads(line)
            if "result" in message:
                running.result = message["result"]
            else:
                self.display.update(running.job, message["done"], message["total"], message["text"])

    def _end(self, running: _Running) -> None:
        status = running.process.wait()
        self._running.remove(running)
        job, end = running.job, self.clock.now()
        if status != 0 or running.result is None:
            end_of_log = processes.tail(running.log)
            raise DemoError(f"{job.name} failed (exit status {status}). The end of {running.log}:\n{end_of_log}")
        self.finished[job.name] = Finished(running.result, running.start, end)
        kept = {"fingerprint": job.fingerprint(), "start": running.start, "end": end, "result": running.result}
        write_json(self._path(job), kept)
        self.clock.keep()
        self.display.end(job, end - running.start, earlier=False)
