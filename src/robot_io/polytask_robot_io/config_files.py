"""Where configuration files are: what packages registered, or ``$POLYTASK_CONFIG``."""

from __future__ import annotations

import os
from pathlib import Path

RESOURCE = "polytask_config"
"""Type of the resource in the ament index that a package with configuration registers under its own name; the files are
in ``config/`` of its share folder. polytask_bringup is one, and a robot's own package can be another."""


class NoConfiguration(ValueError):
    """Nothing says where configuration is, or it has no such file; the message says what to do."""


def config_files(kind: str) -> dict[str, Path]:
    """The YAML files in the folders ``config/<kind>``, by name without suffix, in the order of the names.

    ``$POLYTASK_CONFIG``, where it is set, is the only ``config`` folder. Of two packages with a file of the same name
    that of the package whose name comes first in the alphabet counts. Raises NoConfiguration.
    """
    files: dict[str, Path] = {}
    for folder in _folders():
        for path in (folder / kind).glob("*.yaml"):
            files.setdefault(path.stem, path)
    return dict(sorted(files.items()))


def config_file(kind: str, name: str) -> Path:
    """The file ``config/<kind>/<name>.yaml``, see :func:`config_files`. Raises NoConfiguration where there is none."""
    files = config_files(kind)
    if name not in files:
        raise NoConfiguration(f"there is no config/{kind}/{name}.yaml; there are: {', '.join(files) or 'none'}")
    return files[name]


def _folders() -> list[Path]:
    if config := os.environ.get("POLYTASK_CONFIG"):
        return [Path(config)]
    from ament_index_python.packages import get_package_share_directory
    from ament_index_python.resources import get_resources

    packages = sorted(get_resources(RESOURCE)) if os.environ.get("AMENT_PREFIX_PATH") else []
    if not packages:
        raise NoConfiguration(
            "cannot find the configuration: set POLYTASK_CONFIG to the folder that holds 'embodiments', "
            "or source the workspace in which polytask_bringup is installed"
        )
    return [Path(get_package_share_directory(package)) / "config" for package in packages]
