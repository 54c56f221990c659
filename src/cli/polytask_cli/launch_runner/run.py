"""`./polytask up FILE`: find the file, run it with what there is."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path

from ament_index_python.packages import get_package_share_directory

from polytask_cli.launch_runner.launch_file import Argument, LaunchFile, NodeProcess
from polytask_cli.launch_runner.processes import Supervisor
from polytask_cli.launch_runner.substitutions import LaunchError, NotUnderstood
from polytask_cli.shared_memory import remove_leftovers


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
    for argument in LaunchFile(path, {}, only_arguments=True).arguments:
        found.setdefault(argument.name, argument)
    return list(found.values())


def run_launch_file(path: Path, arguments: Mapping[str, str]) -> int:
    """Run a launch file until all its nodes have ended or Ctrl-C.

    Returns:
        0, or 1 when a node crashed.

    Raises:
        LaunchError: when the file cannot be run; nothing has been started then.
    """
    with_launch = importlib.util.find_spec("launch_ros") is not None
    try:
        # Also what launch_ros will run is read first: it starts one node before it looks whether the next one exists.
        nodes = LaunchFile(path, arguments).nodes
    except NotUnderstood:
        if not with_launch:
            raise
    remove_leftovers()
    if with_launch:
        command = [sys.executable, "-m", "polytask_cli.launch_runner.with_launch", str(path)]
        command += [f"{name}:={value}" for name, value in arguments.items()]
        # launch gives its nodes 4.5 s of the times that the files name, and its own output labels.
        nodes = [NodeProcess(label="", command=command, sigterm_timeout=6.0, ends_all=True)]
    return Supervisor(nodes).run()
