"""Executables of installed packages."""

from __future__ import annotations

import os
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix

from polytask_cli.launch_runner.substitutions import LaunchError


def find_executable(package: str, name: str) -> Path:
    """An executable of an installed package.

    Raises:
        LaunchError: when there is no such package or executable.
    """
    try:
        folder = Path(get_package_prefix(package)) / "lib" / package
    except (PackageNotFoundError, ValueError) as error:
        hint = " (it comes with a ROS 2 distribution only)" if package.startswith("rviz") else ""
        raise LaunchError(f"package {package!r} is not installed{hint}") from error
    path = folder / name
    if not os.access(path, os.X_OK):
        there = ", ".join(sorted(file.name for file in folder.glob("*"))) or "none"
        raise LaunchError(f"package {package!r} has no executable {name!r}; it has: {there}")
    return path
