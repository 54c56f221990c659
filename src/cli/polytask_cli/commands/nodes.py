"""`up` and `serve`: run nodes. `tasks`: what there is to ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from polytask_cli.commands.common import console, fail, reporting
from polytask_robot_io.ros_environment import prepare

ARGUMENTS = "Launch arguments, as NAME:=VALUE."


def launch(name: str, arguments: list[str]) -> None:
    """Run a launch file; ends the command with its exit status."""
    from polytask_cli.launch_runner import LaunchError, find_launch_file, run_launch_file

    values = {}
    for argument in arguments:
        key, separator, value = argument.partition(":=")
        if not key or not separator:
            fail(f"{argument!r} is not a launch argument; write NAME:=VALUE", 2)
        values[key] = value
    with reporting(LaunchError):
        prepare()
        raise typer.Exit(run_launch_file(find_launch_file(name), values))


def up(
    launch_file: Annotated[
        str, typer.Argument(help="A YAML launch file, or the name of one of the project's.", show_default=False)
    ],
    arguments: Annotated[list[str] | None, typer.Argument(help=ARGUMENTS, show_default=False)] = None,
    show_args: Annotated[bool, typer.Option("--show-args", help="List the file's arguments, start nothing.")] = False,
) -> None:
    """Start the nodes of a launch file; Ctrl-C ends them all within five seconds.

    The project's own files are `simulation`, `record`, `train`, `serve` and `demo`. They run the same under
    `ros2 launch`; here they also run where no ROS 2 is installed.

    Example: `./polytask up simulation task:=drawer-open stepping_mode:=lock_step`
    """
    if show_args:
        from polytask_cli.launch_runner import LaunchError, find_launch_file, list_arguments

        with reporting(LaunchError):
            table = Table("argument", "default", "meaning", box=None)
            for argument in list_arguments(find_launch_file(launch_file)):
                default = "(required)" if argument.default is None else argument.default
                table.add_row(argument.name, default, argument.description)
            console.print(table)
        return
    launch(launch_file, arguments or [])


def serve(
    checkpoint: Annotated[
        Path, typer.Argument(help="Folder of a unified policy, as `./polytask distill` writes it.", show_default=False)
    ],
    arguments: Annotated[list[str] | None, typer.Argument(help=ARGUMENTS, show_default=False)] = None,
) -> None:
    """Serve a policy as the ROS 2 action `execute_task`, next to a simulation of its robot.

    Then, in another terminal: `./polytask ask "open the drawer"`. `simulation:=false` leaves the simulation out, for a
    robot that is there already; `./polytask up serve --show-args` lists all arguments.
    """
    if not checkpoint.is_dir():
        fail(f"there is no folder {checkpoint}; `./polytask demo` leaves one in runs/demo-tabletop/unified")
    launch("serve", [f"checkpoint:={checkpoint.resolve()}", *(arguments or [])])


def tasks(
    suite: Annotated[
        str, typer.Option(help="Suite whose tasks are listed; see docs/reference/suites.md.")
    ] = "tabletop",
    sentences: Annotated[bool, typer.Option("--sentences", help="Also list the sentences taught for each.")] = False,
) -> None:
    """List the tasks of a suite: what can be shown, learned and asked for."""
    from polytask_suites import SuiteError, load_suite

    with reporting(SuiteError):
        known = load_suite(suite).tasks
    table = Table("task", "what counts as success", box=None)
    for task in known.values():
        table.add_row(f"[bold]{task.name}[/]", task.description)
        if sentences:
            table.add_row("", "\n".join(f"“{line}”" for line in task.instructions), style="dim")
    console.print(table)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Nodes")(up)
    app.command(rich_help_panel="Ask")(serve)
    app.command(rich_help_panel="Ask")(tasks)
