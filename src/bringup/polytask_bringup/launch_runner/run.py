"""`./polytask up FILE`: find the file, run it with what there is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ament_index_python.packages import get_package_share_directory

from polytask_bringup.launch_runner.description import Argument, Description
from polytask_bringup.launch_runner.processes import Supervisor
from polytask_bringup.launch_runner.substitutions import LaunchError
from polytask_bringup.shared_memory import remove_leftovers


def find_launch_file(name: str) -> Path:
    """The launch file of that path, or one of the project's by its name ("simulation", "serve.launch.yaml").

    Raises:
        LaunchError: when there is none.
    """
    shared = Path(get_package_share_directory("polytask_bringup")) / "launch"
    for candidate in (Path(name), shared / name, shared / f"{name}.launch.yaml"):
        if candidate.is_file():
            return candidate.absolute()
    there = ", ".join(sorted(path.name.removesuffix(".launch.yaml") for path in shared.glob("*.launch.yaml")))
    raise LaunchError(f"there is no launch file {name!r}; the project's own are: {there}")


def list_arguments(path: Path) -> list[Argument]:
    """Arguments that a launch file declares itself and in the files it includes, in order.

    Raises:
        LaunchError: when the file cannot be read.
    """
    found: dict[str, Argument] = {}
    for argument in Description(path, {}, only_arguments=True).arguments:
        found.setdefault(argument.name, argument)
    return list(found.values())


def run_launch_file(path: Path, arguments: Mapping[str, str]) -> int:
    """Run a launch file until all its nodes have ended or Ctrl-C.

    Returns:
        0, or 1 when a node crashed.

    Raises:
        LaunchError: when the file cannot be run.
    """
    remove_leftovers()
    try:
        import launch_ros  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        return Supervisor(Description(path, arguments).nodes).run()
    return _run_with_launch(path, arguments)


def _run_with_launch(path: Path, arguments: Mapping[str, str]) -> int:
    from launch import LaunchDescription, LaunchService  # type: ignore[import-not-found]
    from launch.actions import IncludeLaunchDescription, RegisterEventHandler  # type: ignore[import-not-found]
    from launch.event_handlers import OnProcessExit  # type: ignore[import-not-found]
    from launch.launch_description_sources import AnyLaunchDescriptionSource  # type: ignore[import-not-found]

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
                IncludeLaunchDescription(AnyLaunchDescriptionSource(str(path)), launch_arguments=arguments.items()),
            ]
        )
    )
    return 1 if service.run() != 0 or crashed else 0
