"""The `polytask` command."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from polytask_cli.commands import ask, bench, check, demo, docs, experiment, learning, nodes, recording, setup
from polytask_robot_io.ros_environment import BadEnvironment, BadName
from polytask_robot_io.starting import explain_missing

app = typer.Typer(
    name="polytask",
    help="Show a robot a few tasks; it then serves one policy that does each of them when asked in words, by a picture "
    "of the result, or by name, over ROS 2 topics and actions.",
    epilog="Start with `./polytask demo` (about 15 minutes) or `./polytask demo --quick` (5 minutes).",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for module in (demo, recording, learning, experiment, nodes, ask, check, docs, setup, bench):
    module.register(app)


def main() -> None:
    """Run the command. Exit status: 0 done; 1 failed, with the reason on stderr; 2 wrong usage; 130 Ctrl-C."""
    try:
        app(prog_name="polytask")
    except ModuleNotFoundError as error:
        sys.exit(f"polytask: {explain_missing(error)}")
    except (BadEnvironment, BadName) as error:
        sys.exit(f"polytask: {error}")
    except KeyboardInterrupt:
        Console(stderr=True).print("stopped")
        sys.exit(130)
