"""Do an experiment's runs: in parallel processes, resumed by what is there, and published."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from polytask_trainer.experiments.framework.results import Document, publish
from polytask_trainer.experiments.framework.run import DOCUMENT, Run, execute, finished
from polytask_trainer.jobs.display import Bars
from polytask_trainer.jobs.pool import run_jobs
from polytask_trainer.jobs.spec import CallJob

EXECUTE = f"{execute.__module__}:{execute.__name__}"


def schedule(
    runs: Sequence[Run],
    root: Path,
    results: Path,
    console: Console,
    *,
    parallel: int = 1,
    minutes: float | None = None,
) -> None:
    """Do the runs that are not done, each in a folder of its own under ``root``; publish all in folder ``results``.

    Raises JobEnded (of polytask_trainer.jobs.pool) when it was stopped, also by ``minutes``, or a run failed; the same
    call carries on.
    """
    by_name = {run.name: run for run in runs}
    left = {name: run for name, run in by_name.items() if not finished(root, run)}
    if done := [run for run in by_name.values() if run.name not in left]:
        publish([_document(run, root) for run in done], results)
    jobs = {
        name: CallJob(EXECUTE, {"run": run.to_json(), "root": str(root)}, output=str(root / name))
        for name, run in left.items()
    }
    needs = {run.name: [need.name for need in run.needs if need.name in left] for run in left.values()}
    with Bars(console, len(jobs)) as bars:
        run_jobs(
            jobs,
            bars,
            parallel,
            needs=needs,
            seconds=60.0 * minutes if minutes is not None else None,
            on_result=lambda name, _: publish([_document(by_name[name], root)], results),
        )


def _document(run: Run, root: Path) -> Document:
    """What the run is called today, and with which settings and versions it measured what."""
    measured = json.loads((root / run.name / DOCUMENT).read_text(encoding="utf-8"))
    return {**run.to_json(), **{key: measured[key] for key in ("config", "versions", "result")}}
