"""The checks of the doctor, each a function that gives a finding."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from polytask_cli.commands.common import console
from polytask_robot_io.ros_environment import BadEnvironment, check_domain, prepare

PACKAGES = ("torch", "numpy", "mujoco", "gymnasium", "metaworld", "opencv-python-headless", "rosbags", "mcap")
ON_A_ROBOT = ("torch", "numpy", "opencv-python-headless", "rosbags", "mcap")
ROBOT = os.environ.get("POLYTASK_SET") == "robot"
NVIDIA = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        good: whether it is as it has to be.
        text: what was found.
        remedy: what to do when it is not good.
    """

    good: bool
    text: str
    remedy: str = ""


def python() -> Finding:
    """Interpreter and the packages that matter."""
    found, missing = [], []
    for name in ON_A_ROBOT if ROBOT else PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    text = f"{platform.python_version()} in {sys.prefix}; " + ", ".join(found)
    remedy = "rm -r .venv*/packages .venv*/ready, then run ./polytask again: it installs what is missing"
    return Finding(not missing, text + (f"; missing: {', '.join(missing)}" if missing else ""), remedy)


def ros() -> Finding:
    """Which ROS 2, which middleware, which settings."""
    origin = f"distribution {os.environ['ROS_DISTRO']}" if os.environ.get("ROS_DISTRO") else "Python wheels (Kilted)"
    try:
        from rclpy.utilities import get_rmw_implementation_identifier
    except ImportError as error:
        reason = str(error).splitlines()[0]
        return Finding(
            False, f"{origin}; rclpy cannot be loaded: {reason}", "source the distribution's setup.bash again"
        )
    try:
        middleware = get_rmw_implementation_identifier()
    except Exception as error:
        return Finding(False, f"{origin}; no middleware: {error}", "unset RMW_IMPLEMENTATION, or install what it names")
    check_domain()
    profile = os.environ.get("FASTDDS_DEFAULT_PROFILES_FILE", "")
    settings = (
        f"domain {os.environ.get('ROS_DOMAIN_ID', '0')}, discovery {os.environ.get('ROS_AUTOMATIC_DISCOVERY_RANGE')}"
    )
    text = f"{origin}; {middleware}; {settings}"
    if "fastrtps" in middleware and not Path(profile).is_file():
        return Finding(
            False, f"{text}; there is no Fast DDS profile {profile!r}", "unset FASTDDS_DEFAULT_PROFILES_FILE"
        )
    return Finding(True, f"{text}; profile {profile}" if "fastrtps" in middleware else text)


def network() -> Finding:
    """Whether other machines can reach the nodes of this one."""
    from polytask_cli.doctor.network import listening

    prepare()
    chosen = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    profile = os.environ.get("FASTDDS_DEFAULT_PROFILES_FILE", "none")
    remedy = "unset FASTDDS_DEFAULT_PROFILES_FILE and run ./polytask again: it takes the profile that fits the range"
    is_open = "0.0.0.0" in listening(int(os.environ.get("ROS_DOMAIN_ID") or 0))
    if not is_open:
        text = "nodes listen on this machine only"
        if chosen in ("SUBNET", "SYSTEM_DEFAULT"):
            return Finding(False, f"{text}, though the discovery range is {chosen} (profile {profile})", remedy)
        return Finding(True, f"{text}; ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET opens them to the network")
    text = "whoever reaches this machine over the network sees its nodes and may command its robot"
    if chosen in ("LOCALHOST", "OFF"):
        return Finding(False, f"{text}, though the discovery range is {chosen} (profile {profile})", remedy)
    return Finding(True, f"{text} (discovery range {chosen})")


def workspace() -> Finding:
    """The project's own packages and messages."""
    names = (
        *("robot_io", "policy", "suites", "sim_bridge", "demo_recorder", "policy_server", "trainer"),
        *("visualization", "bringup", "cli"),
    )
    try:
        from ament_index_python.packages import get_package_share_directory

        import polytask_interfaces.action  # noqa: F401

        for name in names:
            get_package_share_directory(f"polytask_{name}")
    except (ImportError, LookupError) as error:
        return Finding(
            False, f"not built: {error}", "rm .venv*/ready, then run ./polytask again: it builds the workspace"
        )
    return Finding(True, f"interfaces and {len(names)} packages are built")


RENDER = """
import mujoco, time
model = mujoco.MjModel.from_xml_string(
    '<mujoco><worldbody><light pos="0 0 3"/><geom type="box" size=".2 .2 .2" rgba="1 0 0 1"/></worldbody></mujoco>')
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 84, 84) as renderer:
    renderer.update_scene(data)
    began = time.perf_counter()
    picture = renderer.render()
    took = time.perf_counter() - began
    from OpenGL import GL
    print(picture.shape, int(picture[..., 0].max()) > 50, f"{took * 1e3:.0f}", GL.glGetString(GL.GL_RENDERER).decode())
"""


def rendering() -> Finding:
    """A real picture of 84x84 pixels, in a process of its own: a broken driver may take its process down."""
    if ROBOT:
        return Finding(True, "not looked at: a robot draws nothing (`./polytask setup` installs all packages)")
    backend = os.environ.get("MUJOCO_GL", "")
    remedy = "sudo apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri; with a screen MUJOCO_GL=glfw works too"
    try:
        result = subprocess.run([sys.executable, "-c", RENDER], capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return Finding(False, f"no picture within 60 s (MUJOCO_GL={backend})", remedy)
    if not result.stdout.startswith("(84, 84, 3) True"):
        last = (result.stderr or result.stdout).strip().splitlines()[-1:] or [f"exit status {result.returncode}"]
        return Finding(False, f"no picture (MUJOCO_GL={backend}): {last[0]}", remedy)
    took, device = result.stdout.removeprefix("(84, 84, 3) True ").strip().split(" ", 1)
    return Finding(True, f"84x84 picture in {took} ms, MUJOCO_GL={backend}, {device}")


def topics() -> Finding:
    """Pictures of 1 MB from one process to another."""
    remedy = (
        "check that /dev/shm has 100 MB free (`df -h /dev/shm`; in Docker --shm-size=512m or --ipc=host), that "
        "FASTDDS_DEFAULT_PROFILES_FILE names config/fastdds_profile.xml, and that no firewall drops UDP on this machine"
    )
    from polytask_cli.doctor.topics import transfer
    from polytask_cli.shared_memory import remove_leftovers

    remove_leftovers()
    prepare()
    try:
        sent, delays = transfer()
    except RuntimeError as error:
        return Finding(False, str(error), remedy)
    if len(delays) < sent // 2:
        return Finding(False, f"{len(delays)} of {sent} pictures of 1 MB arrived", remedy)
    middle = sorted(delays)[len(delays) // 2]
    return Finding(
        True, f"{len(delays)} of {sent} pictures of 1 MB arrived in another process, median {middle * 1e3:.1f} ms"
    )


def machine() -> Finding:
    """Cores, memory, disk."""
    free = shutil.disk_usage(os.environ.get("POLYTASK_ROOT", ".")).free / 1e9
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    text = f"{cores} cores, {memory:.0f} GB memory, {free:.0f} GB of disk free"
    if free < 1.0:
        return Finding(False, text, "free some disk: recordings and runs need about 1 GB")
    if memory < 3.5:
        return Finding(False, text, "learning several tasks at once needs about 4 GB of memory")
    return Finding(True, text)


def accelerator() -> Finding:
    """Whether torch computes on a GPU, where there is one."""
    import torch

    if torch.cuda.is_available():
        found = torch.cuda.get_device_properties(0)
        return Finding(True, f"{found.name}, {found.total_memory / 1e9:.0f} GB; torch {torch.__version__}")
    if NVIDIA.exists():
        remedy = "rm -r .venv*, then run ./polytask again: it installs torch for the GPU; else look at the driver"
        return Finding(False, f"there is an NVIDIA driver, but torch {torch.__version__} finds no GPU", remedy)
    return Finding(True, f"none, torch {torch.__version__} computes on the CPU")


CHECKS: tuple[tuple[str, Callable[[], Finding]], ...] = (
    ("machine", machine),
    ("Python", python),
    ("GPU", accelerator),
    ("ROS 2", ros),
    ("network", network),
    ("workspace", workspace),
    ("rendering", rendering),
    ("topics", topics),
)


def examine() -> int:
    """Run all checks and print a line for each; 0 when all is well, else 1."""
    ill = 0
    for title, check in CHECKS:
        began = time.monotonic()
        with console.status(f"{title} …"):
            try:
                finding = check()
            except BadEnvironment as error:
                finding = Finding(False, str(error), "mend that, then ask the doctor again")
            except Exception as error:  # a doctor must not fall ill
                finding = Finding(False, f"{type(error).__name__}: {error}", "this is a bug; please report it")
        mark = "[green]ok  [/]" if finding.good else "[red]BAD [/]"
        console.print(f"{mark} {title:<10} ", end="")
        took = time.monotonic() - began
        console.print(finding.text + (f" ({took:.1f} s)" if took > 1 else ""), markup=False, soft_wrap=True)
        if not finding.good:
            ill += 1
            console.print(f"     → {finding.remedy}", markup=False, soft_wrap=True)
    console.print("all is well" if not ill else f"{ill} of {len(CHECKS)} checks found something to mend")
    return 1 if ill else 0
