"""Run a launch file with launch_ros; `python -m polytask_cli.launch_runner.with_launch FILE [NAME:=VALUE …]`.

A process of its own, since launch ends at SIGTERM without its nodes: our supervisor starts this one, turns whatever
asks for the end into the SIGINT that launch obeys, and looks after what is left.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping


def run(path: str, arguments: Mapping[str, str]) -> int:
    """Run a launch file until all its nodes have ended; 0, or 1 when launch failed or a node crashed."""
    from launch import LaunchDescription, LaunchService
    from launch.actions import IncludeLaunchDescription, RegisterEventHandler
    from launch.event_handlers import OnProcessExit
    from launch.launch_description_sources import AnyLaunchDescriptionSource

    crashed = False

    def note(event, context) -> None:  # type: ignore[no-untyped-def]
        nonlocal crashed
        crashed = crashed or (event.returncode != 0 and not context.is_shutdown)

    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    service = LaunchService()
    service.include_launch_description(
        LaunchDescription(
            [
                RegisterEventHandler(OnProcessExit(on_exit=note)),
                IncludeLaunchDescription(AnyLaunchDescriptionSource(path), launch_arguments=arguments.items()),
            ]
        )
    )
    return 1 if service.run() != 0 or crashed else 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], dict(argument.split(":=", 1) for argument in sys.argv[2:])))
