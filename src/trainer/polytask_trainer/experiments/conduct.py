"""Do an experiment's runs: in parallel processes, resumed by what is there, one JSON a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from polytask_policy.checkpoint import write_atomically
from polytask_trainer.commands import run_jobs
from polytask_trainer.experiments.run import DOCUMENT, Run, finished
from polytask_trainer.jobs import RunJob


def conduct(
    runs: Sequence[Run],
    root: Path,
    results: Path,
    console: Console,
    *,
    parallel: int = 1,
    minutes: float | None = None,
) -> None:
    """Do the runs that are not done, each in a folder of its own under ``root``; copy their JSON to ``results``.

    The JSON of a run is called by its title and seed, so that of one with other settings replaces it. Raises JobEnded
    (of polytask_trainer.commands) when it was stopped, also by ``minutes``, or a run failed; the same call carries on.
    """
    by_name = {run.name: run for run in runs}
    left = {name: run for name, run in by_name.items() if not finished(root, run)}
    for name in by_name.keys() - left.keys():
        _publish(by_name[name], root, results)
    jobs = {run.name: RunJob(run.to_json(), str(root)) for run in left.values()}
    needs = {run.name: [need.name for need in run.needs if need.name in left] for run in left.values()}
    run_jobs(
        jobs,
        console,
        parallel,
        needs=needs,
        seconds=60.0 * minutes if minutes is not None else None,
        on_result=lambda name: _publish(by_name[name], root, results),
    )


def _publish(run: Run, root: Path, results: Path) -> None:
    results.mkdir(parents=True, exist_ok=True)
    write_atomically(results / f"{run.slug}.json", (root / run.name / DOCUMENT).read_bytes())
