"""`experiment`: learn and measure at length, resumable, with a report."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from polytask_cli.commands.common import console, errors, fail, reporting, repository


class Budget(str, Enum):
    """How large an experiment is."""

    smoke = "smoke"
    cpu = "cpu"
    gpu = "gpu"
    paper = "paper"


def experiment(
    name: Annotated[str, typer.Argument(help="Which; see --list.", show_default=False)] = "",
    budget: Annotated[
        Budget,
        typer.Option(
            help="smoke: does it run (a minute); cpu: two cores; gpu: one GPU (pixels only); paper: the paper's sizes."
        ),
    ] = Budget.cpu,
    seeds: Annotated[int, typer.Option(help="Seeds, from 0 on; 0: the budget's.", min=0)] = 0,
    parallel: Annotated[int, typer.Option(help="Runs at once; 0: one per core.", min=0)] = 0,
    minutes: Annotated[float | None, typer.Option(help="Stop in order after this time.", min=0.0)] = None,
    runs: Annotated[Path | None, typer.Option(help="Folder of the runs. Default: runs/experiments.")] = None,
    report: Annotated[bool, typer.Option("--report", help="Only rebuild tables and figures from the JSON.")] = False,
    show: Annotated[bool, typer.Option("--list", help="List the experiments.")] = False,
) -> None:
    """Do an experiment: a line of JSON for each run, then tables and figures with intervals.

    Stopped at any moment, the same command carries on; a run that another experiment did already is not done again.
    These lines and the report go to docs/results/experiments/NAME (budget smoke: to the folder of the runs).
    """
    from polytask_trainer.common.settings import ConfigError
    from polytask_trainer.experiments import EXPERIMENTS
    from polytask_trainer.experiments.framework.plan import experiment as find
    from polytask_trainer.experiments.framework.plan import plan
    from polytask_trainer.experiments.framework.report import write_report
    from polytask_trainer.experiments.framework.scheduler import schedule
    from polytask_trainer.jobs.pool import JobEnded

    if show or not name:
        for known in EXPERIMENTS:
            console.print(f"[bold]{known}[/]  {(find(known).__doc__ or '').splitlines()[0]}")
        return
    root = (runs or repository() / "runs" / "experiments").absolute()
    results = root / "reports" if budget is Budget.smoke else repository() / "docs" / "results" / "experiments"
    folder = results / name / budget.value
    if not report:
        try:
            with reporting(ConfigError):
                planned = plan(name, budget.value, seeds)
                schedule(planned, root, folder, console, parallel=parallel or os.cpu_count() or 1, minutes=minutes)
        except JobEnded as error:
            if error.ending.how != "stopped":
                fail(str(error))
            errors.print("stopped; the same command carries on from there")
            raise typer.Exit(0 if minutes is not None else 130) from error
    with reporting(ConfigError):
        console.print(write_report(name, budget.value, folder), markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Learn")(experiment)
