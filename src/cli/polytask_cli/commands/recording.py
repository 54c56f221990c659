"""`record`: demonstrations into MCAP files."""

from __future__ import annotations

import contextlib
import tempfile
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from polytask_cli.commands.common import console, errors, reporting
from polytask_robot_io.ros_environment import check_namespace

if TYPE_CHECKING:
    from polytask_demo_recorder.teleop.client import Progress as Report


class Driver(str, Enum):
    """Who drives the robot."""

    scripted = "scripted"
    keyboard = "keyboard"
    none = "none"


def record(
    task: Annotated[str, typer.Argument(help="Task that is shown, such as drawer-open.", show_default=False)],
    episodes: Annotated[int, typer.Option(help="How many episodes to record.", min=1)] = 1,
    output: Annotated[Path, typer.Option(help="Folder of the recordings; each task gets one in it.")] = Path(
        "data/demonstrations"
    ),
    driver: Annotated[
        Driver,
        typer.Option(
            help="scripted: the suite's expert; keyboard: you, also over SSH; none: whoever publishes `command`."
        ),
    ] = Driver.scripted,
    suite: Annotated[str, typer.Option(help="Suite that is simulated; see docs/reference/suites.md.")] = "tabletop",
    seed: Annotated[int, typer.Option(help="Seed of the first episode's start; the next has the next.", min=0)] = 0,
    keep_failures: Annotated[bool, typer.Option("--keep-failures", help="Also keep episodes without success.")] = False,
    running: Annotated[
        bool, typer.Option("--running", help="Robot (or simulation) and recorder run already; see `up record`.")
    ] = False,
    namespace: Annotated[str, typer.Option(help="Namespace of the robot.")] = "",
) -> None:
    """Record demonstrations of a task from the topics, one MCAP file per episode.

    Starts simulation, driver and recorder itself; with --running it uses those that run, a real robot's for instance.
    The files open in `ros2 bag` and Foxglove. Ctrl-C keeps what is complete.
    """
    from polytask_cli.nodes.stack import Stack, StackError
    from polytask_demo_recorder.errors import RecordingError
    from polytask_demo_recorder.teleop.client import record as record_episodes
    from polytask_robot_io.outcomes import Outcome

    check_namespace(namespace)
    embodiment = "" if running else _embodiment(suite, task)
    scripted = driver is Driver.scripted
    arguments = {"suite": suite, "embodiment": embodiment, "expert": str(scripted).lower()}
    arguments |= {"namespace": namespace, "task": task, "dataset": str(output.absolute())}
    if scripted:
        arguments |= {
            "stepping_mode": "lock_step",
            "use_sim_time": "true",
        }  # as fast as it goes, and the same every time
    with (
        reporting(RecordingError, StackError),
        tempfile.TemporaryDirectory(prefix="polytask-record-") as folder,
        contextlib.ExitStack() as stack,
    ):
        nodes = None if running else stack.enter_context(Stack("record", arguments, Path(folder) / "nodes.log"))
        # A person who drives sees the recorder's own words instead of a bar.
        shown = driver is not Driver.keyboard
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, disable=not shown) as progress:
            bar = progress.add_task(f"recording {task}", total=episodes)

            told = ""

            def show(report: Report) -> None:
                nonlocal told
                if report.reason != told:
                    told = report.reason
                    errors.print(f"not kept: {told}", markup=False, soft_wrap=True)
                failures = f", {report.discarded} discarded" if report.discarded else ""
                text = f"recording {task}: seed {report.seed}, {report.messages} messages{failures}"
                progress.update(bar, completed=report.recorded, description=text)

            try:
                recording = record_episodes(
                    task,
                    episodes,
                    output,
                    seed,
                    driver=driver.value,
                    keep_failures=keep_failures,
                    namespace=namespace,
                    on_progress=show,
                )
            except RecordingError:
                if nodes is not None:
                    nodes.check()  # that they have ended explains more
                raise
            progress.update(bar, completed=len(recording.files))
    for file in recording.files:
        console.print(str(file), soft_wrap=True)
    if not recording.complete:
        errors.print(recording.message, markup=False, soft_wrap=True)
        raise typer.Exit(130 if recording.outcome == Outcome.CANCELLED else 1)


def _embodiment(suite: str, task: str) -> str:
    """The embodiment of a suite that is to be simulated; ends the command when there is no such suite or task."""
    from polytask_suites import EMBODIMENTS, SuiteError, load_suite

    with reporting(SuiteError):
        load_suite(suite).task(task)
    return EMBODIMENTS.get(suite, "")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Learn")(record)
