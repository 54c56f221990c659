"""The virtual environment and the Python packages in it.

requirements.lock is complete, so pip is told to follow no dependencies: no resolver, no surprises, and packages whose
own pins are out of date (gym-xarm) come as they are. Two kinds of lines differ: `ros-*` is left out where a ROS 2
distribution is sourced; lines marked `# with its dependencies` (torch, whose CUDA build brings libraries the CPU build
lacks) come last, with the resolver.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from .layout import Layout, SetupError, read_mark, write_mark
from .progress import CommandFailed, Step, run

WITH_DEPENDENCIES = "# with its dependencies"
TORCH_CPU = "https://download.pytorch.org/whl/cpu"
NVIDIA = Path("/proc/driver/nvidia/version")
SIZES = {(False, True): "0.9 GB", (False, False): "3.3 GB", (True, True): "0.5 GB", (True, False): "3.0 GB"}
"""By the small set for robots or all, and the build of torch for the CPU or for GPUs."""


def split_lock(text: str, *, distribution: bool) -> tuple[list[str], list[str]]:
    """Requirements of a lock file: those to install alone, and those to install with their dependencies."""
    alone: list[str] = []
    resolved: list[str] = []
    for line in text.splitlines():
        requirement = line.split("#")[0].strip()
        if not requirement or (distribution and requirement.startswith("ros-")):
            continue
        (resolved if WITH_DEPENDENCIES in line else alone).append(requirement)
    return alone, resolved


def provide_venv(layout: Layout, step: Step, lock: int) -> None:
    """Make the virtual environment, or make it again when it does not work.

    Raises:
        SetupError: when Python's venv module fails.
    """
    if read_mark(layout.packages_mark) == layout.packages_key() or _works(layout):
        return
    command = [sys.executable, "-m", "venv", "--clear", str(layout.venv)]
    if layout.distribution:
        command.insert(-1, "--system-site-packages")
    log = layout.root / f".setup-venv{layout.suffix}.log"  # not in the folder that is cleared
    try:
        run(command, step, log, keep_open=[lock])
    except CommandFailed as error:
        raise SetupError(f"`{' '.join(command)}` failed:\n" + "\n".join(error.output[-20:])) from error
    log.unlink()


def _works(layout: Layout) -> bool:
    """Whether there is a virtual environment of this Python, at this place, with pip."""
    probe = "import sys, pip; print(sys.version_info[:2], sys.prefix)"
    try:
        result = subprocess.run([layout.python, "-c", probe], capture_output=True, text=True)
        shebang = (layout.venv / "bin" / "pip").read_text().splitlines()[0]
    except (OSError, IndexError):
        return False
    expected = f"{sys.version_info[:2]} {layout.venv}"
    return result.returncode == 0 and result.stdout.strip() == expected and str(layout.venv) in shebang


def provide_packages(layout: Layout, step: Step, lock: int) -> None:
    """Install what the lock file lists, unless it is there; says before how much that is.

    Raises:
        SetupError: naming the cause as far as pip's output tells it.
    """
    key = layout.packages_key()
    if read_mark(layout.packages_mark) == key:
        return
    layout.packages_mark.unlink(missing_ok=True)
    mend_interrupted(layout)
    alone, resolved = split_lock(layout.lock_file.read_text(), distribution=bool(layout.distribution))
    cpu, why = choose_torch()
    index = ["--extra-index-url", TORCH_CPU] if cpu else []
    step.say(
        f"{len(alone) + len(resolved)} packages, about {SIZES[layout.robot, cpu]} to fetch but for what pip has kept; "
        f"torch for {'the CPU' if cpu else 'NVIDIA GPUs'}, {why}"
    )
    wanted = layout.venv / "packages.txt"
    wanted.write_text("\n".join(alone) + "\n")
    install(layout, step, ["--no-deps", "-r", str(wanted)], len(alone), keep_open=[lock])
    install(layout, step, [*index, "-c", str(wanted), *resolved], len(resolved), keep_open=[lock])
    if not layout.distribution:
        relocate_cmake(layout)
    write_mark(layout.packages_mark, key)


def mend_interrupted(layout: Layout) -> None:
    """Forget packages that pip had not finished unpacking: it writes RECORD last, but believes METADATA."""
    for site in layout.venv.glob("lib/python3*/site-packages"):
        for info in site.glob("*.dist-info"):
            if not (info / "RECORD").exists():
                shutil.rmtree(info)
        for leftover in site.glob("~*"):
            shutil.rmtree(leftover, ignore_errors=True)


def choose_torch() -> tuple[bool, str]:
    """Whether to take the CPU build of torch, which is a tenth of PyPI's for GPUs, and why or why not.

    POLYTASK_TORCH=pypi asks for PyPI's build all the same: `.ci/run --torch pypi` tests with it.
    """
    if os.environ.get("POLYTASK_TORCH") == "pypi":
        return False, "as POLYTASK_TORCH asks for PyPI's"
    if NVIDIA.exists():
        return False, "as this machine has an NVIDIA driver"
    try:
        with urllib.request.urlopen(TORCH_CPU + "/torch/", timeout=5) as answer:
            if answer.status == 200:
                return True, "as this machine has no NVIDIA driver"
    except OSError:
        pass
    return False, f"as {TORCH_CPU}, where the smaller build for the CPU is, cannot be reached"


def install(layout: Layout, step: Step, arguments: list[str], total: int, *, keep_open: Sequence[int] = ()) -> None:
    """Have the environment's pip install ``total`` packages; ``keep_open`` as for ``run``.

    Raises:
        SetupError: naming the cause as far as pip's output tells it.
    """
    seen = 0

    def describe(line: str) -> str | None:
        nonlocal seen
        if line.startswith(("Collecting", "Requirement already satisfied", "Ignoring")):
            seen += 1
            return f"fetching {min(seen, total)} of {total}"
        return f"unpacking {total}" if line.startswith("Installing collected") else None

    command = [
        str(layout.python),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar=off",
        "--no-compile",  # Python does it for what is used, when it is
        *arguments,
    ]
    try:
        # What a sourced distribution puts on the path is neither to be counted as installed nor to be replaced.
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        run(command, step, layout.venv / "pip.log", describe=describe, env=env, keep_open=keep_open)
    except CommandFailed as error:
        raise SetupError(explain_pip(error.output, layout)) from error


def explain_pip(output: list[str], layout: Layout) -> str:
    """What a failed pip run needs, from its output."""
    text = "\n".join(output)
    if "No space left on device" in text or "Errno 28" in text:
        return (
            f"the disk is full. Make room on the disk of {layout.venv} and of {os.environ.get('TMPDIR', '/tmp')}, then "
            "run the same command again: it carries on."
        )
    if re.search(r"NewConnectionError|NameResolutionError|ConnectTimeout|ProxyError|Failed to establish", text):
        return (
            "the package index cannot be reached. Check the network (`curl -I https://pypi.org/simple/`; "
            "behind a proxy set HTTPS_PROXY, with a mirror PIP_INDEX_URL), then run the same command again: it "
            "carries on."
        )
    errors = [line for line in output if line.startswith("ERROR")] or output[-3:]
    return "pip failed:\n" + "\n".join(errors[-10:]) + f"\nAll its output: {layout.venv / 'pip.log'}"


def relocate_cmake(layout: Layout) -> None:
    """Point the CMake files of the ROS 2 wheels at this environment: they carry paths of where they were built."""
    probe = (
        "import sys, sysconfig as s; print(s.get_path('purelib'), s.get_path('include'), sys.base_prefix, sep='\\n')"
    )
    output = subprocess.run([layout.python, "-c", probe], capture_output=True, text=True, check=True).stdout
    purelib, include, prefix = output.splitlines()
    built = r"/opt/python/cp3\d+-cp3\d+"
    replacements = (
        (re.compile(built + r"/lib/python3\.\d+/site-packages"), purelib),
        (re.compile(built + r"/include/python3\.\d+"), include),
        (re.compile(built), prefix),
    )
    for path in (layout.venv / "share").rglob("*"):
        if not path.is_file() or path.is_symlink():
            continue
        raw = path.read_bytes()
        if b"/opt/python/cp3" not in raw:
            continue
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            continue
        for pattern, replacement in replacements:
            text = pattern.sub(replacement.replace("\\", r"\\"), text)
        path.write_text(text)
