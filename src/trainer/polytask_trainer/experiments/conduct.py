"""Do an experiment's runs: in parallel processes, resumed by what is there, one JSON a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from polytask_policy.checkpoint import write_atomically
from polytask_trainer.experiments.run import DOCUMENT, Run, execute, finished
from polytask_trainer.jobs.pool import run_jobs
from polytask_trainer.jobs.spec import CallJob

EXECUTE = f"{execute.__module__}:{execute.__name__}"


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
    (of polytask_trainer.jobs.pool) when it was stopped, also by ``minutes``, or a run failed; the same call carries on.
    """
    by_name = {run.name: run for run in runs}
    left = {name: run for name, run in by_name.items() if not finished(root, run)}
    for name in by_name.keys() - left.keys():
        _publish(by_name[name], root, results)
    jobs = {
        name: CallJob(EXECUTE, {"run": run.to_json(), "root": str(root)}, output=str(root / name))
        for name, run in left.items()
    }
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
