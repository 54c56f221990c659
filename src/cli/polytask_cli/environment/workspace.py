"""The colcon workspace, and the shell script that puts it in force."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from .layout import Layout, SetupError, read_mark, write_mark
from .progress import CommandFailed, Step, run

# Search paths of which the workspace adds entries.
PATHS = ("PATH", "PYTHONPATH", "AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "COLCON_PREFIX_PATH", "LD_LIBRARY_PATH")

PREFIX = (
    "import os, sys; os.environ.update({name: os.pathsep.join([*filter(None, [os.environ.get(name)]), sys.prefix]) "
    "for name in ('AMENT_PREFIX_PATH', 'CMAKE_PREFIX_PATH') "
    "if sys.prefix not in os.environ.get(name, '').split(os.pathsep)})"
)
"""One line, as Python runs it from a .pth file."""


def package_keys(layout: Layout) -> dict[str, str]:
    """For each package what its build depends on: Python modules and data are linked, so of them only names matter."""
    keys = {}
    for manifest in sorted(layout.root.glob("src/*/package.xml")):
        folder = manifest.parent
        key = hashlib.sha256()
        named = _files(folder / "resource")
        if folder.name == "bringup":  # which installs them
            named += _files(layout.root / "launch") + _files(layout.root / "config")
        read = _files(folder) if (folder / "CMakeLists.txt").exists() else [folder / "setup.py", folder / "setup.cfg"]
        key.update("\n".join(map(str, named)).encode())
        for path in [manifest, *read]:
            key.update(f"\n{path}\n".encode() + path.read_bytes())
        keys[ElementTree.parse(manifest).findtext("name", folder.name)] = key.hexdigest()
    return keys


def _files(folder: Path) -> list[Path]:
    """All files below a folder, but for hidden ones."""
    return sorted(path for path in folder.glob("**/*") if path.is_file() and not path.name.startswith("."))


def build(layout: Layout, step: Step, lock: int) -> None:
    """Build the packages that changed, linking rather than copying Python modules and data.

    Each is built from nothing: setuptools fails on links of an earlier layout, and what an interrupted build left may
    be half written. Packages that are gone are removed, so that nothing finds them any more.

    Raises:
        SetupError: with the compiler's last words.
    """
    mark = layout.venv / "workspace"
    wanted = package_keys(layout)
    recorded = json.loads(read_mark(mark) or "{}")
    built = {
        name: key for name, key in recorded.items() if wanted.get(name) == key and (layout.install / name).is_dir()
    }
    packages = [name for name in wanted if name not in built]
    for name in {*packages, *recorded} - built.keys():
        for folder in (layout.build, layout.install):
            shutil.rmtree(folder / name, ignore_errors=True)
    if not packages:
        return

    def finished(name: str) -> None:
        built[name] = wanted[name]
        write_mark(mark, json.dumps(built))

    try:
        _colcon(layout, step, lock, packages, finished)
    except CommandFailed as error:
        raise SetupError(f"the workspace does not build:\n{chr(10).join(error.output[-25:])}\n{error}") from error


def _colcon(layout: Layout, step: Step, lock: int, packages: list[str], finished: Callable[[str], None]) -> None:
    """Build; ``finished`` is called with the name of each package that is."""
    count = 0

    def describe(line: str) -> str | None:
        nonlocal count
        words = line.split()
        if words[:2] != ["Finished", "<<<"]:
            return None
        finished(words[2])
        count += 1
        return f"{count} of {len(packages)} packages"

    # How to build stands in colcon.meta and colcon_defaults.yaml, so that a plain `colcon build` does the same.
    command = [str(layout.venv / "bin" / "colcon"), "--log-base", str(layout.log), "build"]
    command += ["--build-base", str(layout.build), "--install-base", str(layout.install)]
    command += ["--packages-select", *packages]
    log = layout.venv / "colcon.log"
    run(command, step, log, cwd=layout.root, describe=describe, env=_base_environment(layout), keep_open=[lock])


def _base_environment(layout: Layout) -> dict[str, str]:
    """The environment below the workspace: the virtual environment upon the wheels or the sourced distribution."""
    env = {**os.environ, "VIRTUAL_ENV": str(layout.venv)}
    # colcon's own choice has make wait for the machine's load to fall, which on a busy one takes minutes.
    env.setdefault("MAKEFLAGS", f"-j{len(os.sched_getaffinity(0))}")
    # What an earlier `source` of this same environment left must not come out as the workspace's underlay.
    for name in PATHS:
        own = (str(layout.install), str(layout.build), str(layout.venv), str(layout.root / "src"))
        kept = [entry for entry in env.pop(name, "").split(":") if entry and not entry.startswith(own)]
        if kept:
            env[name] = ":".join(kept)
    first = {"PATH": str(layout.venv / "bin")}
    if layout.distribution:
        # Before the distribution's, whose compiled cv_bridge does not fit the numpy of the lock file.
        site = next(layout.venv.glob("lib/python3*/site-packages"))
        first["PYTHONPATH"] = str(site)
    else:
        first |= {"AMENT_PREFIX_PATH": str(layout.venv), "CMAKE_PREFIX_PATH": str(layout.venv)}
    for name, entry in first.items():
        env[name] = entry + (":" + env[name] if env.get(name) else "")
    return env


def write_prefix(layout: Layout) -> None:
    """Have every Python of the environment know where the wheels of ROS 2 are, as a distribution's setup script does.

    So `.venv/bin/colcon` builds and tests, and a node starts, in a shell that has sourced nothing.
    """
    for site in layout.venv.glob("lib/python3*/site-packages"):
        write_mark(site / "polytask_prefix.pth", PREFIX)


def write_script(layout: Layout) -> None:
    """Write `polytask.sh`: the workspace's search paths as colcon sets them, and this project's defaults.

    Sourcing it takes milliseconds, where colcon's own scripts take a good part of a second.
    """
    before = dict(os.environ)
    command = f". {shlex.quote(str(layout.install / 'local_setup.sh'))} >/dev/null 2>&1; env -0"
    env = {**_base_environment(layout), "COLCON_CURRENT_PREFIX": str(layout.install)}
    output = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=env, check=True).stdout
    after = dict(item.split("=", 1) for item in output.split("\0") if "=" in item)
    lines = [
        "# Written by ./polytask; made anew whenever the workspace is built.",
        f"# `source {layout.script}` gives a shell the environment that ./polytask gives its commands.",
        f"export VIRTUAL_ENV={shlex.quote(str(layout.venv))}",
        f"export POLYTASK_ROOT={shlex.quote(str(layout.root))}",
        f"export POLYTASK_SET={'robot' if layout.robot else 'all'}  # which Python packages there are",
    ]
    own = (str(layout.install), str(layout.build), str(layout.venv))
    for name in PATHS:
        known = before.get(name, "").split(":")
        added = [
            entry for entry in after.get(name, "").split(":") if entry and (entry.startswith(own) or entry not in known)
        ]
        if added:
            lines.append(f'export {name}={shlex.quote(":".join(dict.fromkeys(added)))}"${{{name}:+:${name}}}"')
    if not layout.distribution:
        lines.append("export RMW_IMPLEMENTATION=rmw_fastrtps_cpp  # the only one among the wheels")
    config = layout.root / "config"
    lines += [
        "# Yours count, where you have set them.",
        ": ${ROS_AUTOMATIC_DISCOVERY_RANGE:=LOCALHOST}  # SUBNET: find nodes on other machines, and be found",
        "case $ROS_AUTOMATIC_DISCOVERY_RANGE in",
        f"  LOCALHOST | OFF) : ${{FASTDDS_DEFAULT_PROFILES_FILE:={config / 'fastdds_profile.xml'}}} ;;",
        f"  *) : ${{FASTDDS_DEFAULT_PROFILES_FILE:={config / 'fastdds_network.xml'}}} ;;",
        "esac",
        "unset PYTHONDONTWRITEBYTECODE  # with it every process would compile torch anew",
        ": ${MUJOCO_GL:=egl}",
        ": ${PYOPENGL_PLATFORM:=$MUJOCO_GL}",
        ": ${HF_HUB_OFFLINE:=1}  # the language model is installed; nothing is to be fetched",
        ": ${OMP_NUM_THREADS:=1}  # small networks: more threads cost more than they bring",
        "export FASTDDS_DEFAULT_PROFILES_FILE ROS_AUTOMATIC_DISCOVERY_RANGE",
        "export MUJOCO_GL PYOPENGL_PLATFORM HF_HUB_OFFLINE OMP_NUM_THREADS",
    ]
    if layout.distribution == "jazzy":
        lines.append(
            "export FASTRTPS_DEFAULT_PROFILES_FILE=${FASTRTPS_DEFAULT_PROFILES_FILE:-$FASTDDS_DEFAULT_PROFILES_FILE}"
            "  # what its Fast DDS calls it"
        )
    write_mark(layout.script, "\n".join(lines))
