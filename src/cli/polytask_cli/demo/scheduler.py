"""Do the demo's stages: two at a time, resumed by what is there."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polytask_cli.demo.display import BarDisplay, LineDisplay
from polytask_cli.demo.options import DemoError
from polytask_cli.files import write_json
from polytask_cli.nodes.processes import DOMAINS, FIRST_DOMAIN, tail
from polytask_trainer.jobs.execute import Progress
from polytask_trainer.jobs.pool import JobEnded, run_jobs
from polytask_trainer.jobs.spec import Job, to_dict
from polytask_trainer.jobs.worker import OnEnd, Worker

PARALLEL = 2


@dataclass(frozen=True)
class Stage:
    """One piece of the demo.

    Attributes:
        name: unique, also its file names.
        phase: the phase it belongs to, for the table of times.
        job: what is done.
        needs: names of stages that must be finished before.
        alone: nothing else may run beside it (measurements of time).

    """

    name: str
    phase: str
    job: Job
    needs: tuple[str, ...] = ()
    alone: bool = False

    def fingerprint(self) -> str:
        """Equal for stages that do the same."""
        text = json.dumps([self.name, to_dict(self.job)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass
class Finished:
    """What a stage gave, and when it ran on the demo's clock (s since the demo began)."""

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


def run_stages(
    stages: Sequence[Stage], output: Path, clock: Clock, display: BarDisplay | LineDisplay
) -> dict[str, Finished]:
    """Run all stages; those that an earlier sitting finished are read. What they gave lies in jobs/NAME.json.

    Raises:
        DemoError: one failed; with the end of its log.
        KeyboardInterrupt: Ctrl-C or SIGTERM.
    """
    by_name = {stage.name: stage for stage in stages}
    finished = {}
    for stage in stages:
        if (done := _earlier(stage, output)) is not None:
            finished[stage.name] = done
            display.skip(stage.name)
    left = [stage for stage in stages if stage.name not in finished]
    starts: dict[str, float] = {}

    def log(name: str) -> Path:
        return output / "logs" / f"{name}.log"

    def start(job: Job, on_progress: Progress, on_end: OnEnd, *, title: str, slot: int) -> Callable[[], None]:
        starts[title] = clock.now()
        # Each slot has a ROS domain of its own, so that its nodes hear only each other.
        domain = FIRST_DOMAIN + (os.getpid() * PARALLEL + slot) % DOMAINS
        env = {"ROS_DOMAIN_ID": str(domain), "PYTHONUNBUFFERED": "1"}
        return Worker(job, on_progress, on_end, log=log(title), env=env).stop

    def keep(name: str, result: dict[str, Any]) -> None:
        done = finished[name] = Finished(result, starts[name], clock.now())
        kept = {"fingerprint": by_name[name].fingerprint(), "start": done.start, "end": done.end, "result": result}
        write_json(_path(name, output), kept)
        clock.keep()

    try:
        run_jobs(
            {stage.name: stage.job for stage in left},
            display,
            PARALLEL,
            needs={stage.name: [need for need in stage.needs if need not in finished] for stage in left},
            alone={stage.name for stage in left if stage.alone},
            on_result=keep,
            start=start,
        )
    except JobEnded as error:
        clock.keep()
        if error.ending.how == "stopped":
            raise KeyboardInterrupt from error
        raise DemoError(f"{error}. The end of {log(error.title)}:\n{tail(log(error.title))}") from error
    return {stage.name: finished[stage.name] for stage in stages}


def _path(name: str, output: Path) -> Path:
    return output / "jobs" / f"{name}.json"


def _earlier(stage: Stage, output: Path) -> Finished | None:
    try:
        kept = json.loads(_path(stage.name, output).read_text())
        if kept["fingerprint"] == stage.fingerprint():
            return Finished(kept["result"], kept["start"], kept["end"], earlier=True)
    except (OSError, ValueError, KeyError):
        pass
    return None
