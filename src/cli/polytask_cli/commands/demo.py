"""`demo`: the whole job, end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polytask_cli.commands.common import reporting


def demo(
    suite: Annotated[str, typer.Option(help="Suite of simulated tasks; see docs/reference/suites.md.")] = "tabletop",
    tasks: Annotated[
        str, typer.Option(help="Names of the tasks, separated by commas; empty: five of the suite.", show_default=False)
    ] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Two tasks at reduced size, under five minutes.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="Folder for everything that comes out. Default: runs/demo-SUITE.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed: other demonstrations, starts and networks.", min=0)] = 0,
) -> None:
    """Do the whole job and measure it: show, learn, distil, serve, ask. About 15 minutes on two cores.

    Records one demonstration of each task over the ROS 2 topics, learns an expert for each without the environment's
    reward, distils the experts into one policy, serves it as an action server and asks it for every task in words, by
    picture and by name. Prints a table of what was measured, and writes `results.json` and `report.html`.

    Stopped at any moment, the same command carries on from there.
    """
    from polytask_cli.demo import DemoError, DemoOptions, run_demo

    names = tuple(name.strip() for name in tasks.split(",") if name.strip())
    with reporting(DemoError):
        run_demo(DemoOptions(suite=suite, tasks=names, quick=quick, output=output, seed=seed))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)
