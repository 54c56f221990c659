"""System packages: a compiler, cmake, Python's headers, an EGL that renders in software."""

from __future__ import annotations

import ctypes
import glob
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .layout import Layout, SetupError
from .progress import CommandFailed, Step, run

DISK_NEEDED = 5.0
"""GB, for an environment that is not there yet (2.3 GB with the CPU build of torch, and room to unpack)."""


@dataclass(frozen=True)
class Need:
    """One thing from the operating system."""

    what: str
    packages: tuple[str, ...]  # of Debian and Ubuntu
    present: Callable[[], bool]


def has_library(name: str) -> bool:
    """Whether the dynamic linker finds a library."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def has_renderer() -> bool:
    """Whether libEGL finds a driver: Mesa's with its software rasteriser, or a vendor's."""
    vendors = glob.glob("/usr/share/glvnd/egl_vendor.d/*.json") + glob.glob("/etc/glvnd/egl_vendor.d/*.json")
    if any("mesa" not in Path(vendor).name for vendor in vendors):
        return True
    drivers = ("/usr/lib/*/dri/swrast_dri.so", "/usr/lib*/dri/swrast_dri.so", "/usr/lib/*/libgallium*.so")
    return bool(vendors) and any(glob.glob(pattern) for pattern in drivers)


def needs(robot: bool = False) -> list[Need]:
    """All that the build needs and, but on a robot, the simulation."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    renderer = [
        Need("the EGL library (libEGL.so.1)", ("libegl1",), lambda: has_library("libEGL.so.1")),
        Need("an OpenGL driver for EGL", ("libegl-mesa0", "libgl1-mesa-dri"), has_renderer),
    ]
    return [
        Need(
            f"{version}'s venv module", (f"{version}-venv",), lambda: importlib.util.find_spec("ensurepip") is not None
        ),
        Need(f"{version}'s headers", (f"{version}-dev",), header.exists),
        Need("cmake", ("cmake",), lambda: shutil.which("cmake") is not None),
        Need("a C++ compiler (c++)", ("g++",), lambda: shutil.which("c++") is not None),
        Need("make", ("make",), lambda: shutil.which("make") is not None),
        *(() if robot else renderer),
    ]


def provide(layout: Layout, step: Step) -> None:
    """Check all needs; as root on Debian or Ubuntu, install what is missing.

    Raises:
        SetupError: naming everything that is missing and the command that mends it.
    """
    missing = [need for need in needs(layout.robot) if not need.present()]
    packages = [package for need in missing for package in need.packages]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        step.update("installing " + " ".join(packages))
        _install(packages, step, layout.root / ".setup-apt.log")
        missing = [need for need in missing if not need.present()]
        packages = [package for need in missing for package in need.packages]
        if missing:
            raise SetupError(
                f"still missing after `apt-get install {' '.join(packages)}`: {_names(missing)}.\n"
                f"If it is installed, it is not where it is looked for; PATH is {os.environ.get('PATH', '')}"
            )
    if missing:
        raise SetupError(
            f"missing: {_names(missing)}.\n"
            f"On Debian or Ubuntu: sudo apt-get install {' '.join(packages)}\n"
            "On other systems install what these packages hold, then run the same command again."
        )
    check_disk(layout)


def check_disk(layout: Layout) -> None:
    """Raise SetupError where a new environment would not fit."""
    free = shutil.disk_usage(layout.root).free / 1e9
    if free < DISK_NEEDED and not layout.packages_mark.exists():
        raise SetupError(
            f"{layout.root} has {free:.1f} GB free, and set-up needs {DISK_NEEDED:.0f} GB.\n"
            "Make room (`pip cache purge` often frees some GB), or move the checkout to a larger disk."
        )


def _names(missing: list[Need]) -> str:
    return ", ".join(need.what for need in missing)


def _install(packages: list[str], step: Step, log: Path) -> None:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    try:
        run(["apt-get", "update"], step, log, env=env)
        run(install, step, log, env=env)
    except CommandFailed as error:
        raise SetupError(
            f"`{' '.join(install)}` failed:\n"
            + "\n".join(error.output[-5:])
            + "\nRepair it by hand, then run the same "
            "command again."
        ) from error
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(f"apt-get could not be run: {error}") from error
    log.unlink(missing_ok=True)
