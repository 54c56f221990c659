"""`setup`: which packages the environment has. The front door has prepared it before this runs."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from polytask_cli.commands.common import console

ROBOT = "what serving and recording need"
ALL = "all packages"


def setup(
    robot: Annotated[
        bool,
        typer.Option("--robot", help="Only what serving and recording need: no simulation, no learning, no tests."),
    ] = False,
) -> None:
    """Prepare the environment, as any first command does, with all packages or only with those that a robot needs.

    Later commands keep to what was asked for last. Nothing is removed: to get rid of what the small set does without,
    `rm -r .venv` before.
    """
    del robot  # the front door has looked at it
    is_robot = os.environ.get("POLYTASK_SET") == "robot"
    console.print(f"ready, with {ROBOT if is_robot else ALL}: {sys.prefix}", markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Checks")(setup)
