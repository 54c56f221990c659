"""The small set of packages for robots: a part of the lock, complete, and enough for serving and recording."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[3]
LEFT_OUT = (
    *("mujoco", "metaworld", "dm_control", "gymnasium", "gymnasium_robotics", "gym_xarm", "matplotlib", "ot", "h5py"),
    *("rliable", "tensorboard", "fast_simplification", "pytest", "OpenGL", "pandas", "mcap_ros2"),
)
SERVE_AND_RECORD = (
    "polytask_policy_server.policy_server_node",
    "polytask_policy_server.executables",
    "polytask_policy.unified",
    "polytask_policy.text",
    "polytask_demo_recorder.recording.recorder_node",
    "polytask_demo_recorder.teleop.keyboard_teleop_node",
    "polytask_demo_recorder.teleop.client",
    "polytask_demo_recorder.dataset.reader",
    "polytask_cli.cli",
    "polytask_cli.execute_task_client",
    "polytask_cli.commands.ask",
    "polytask_cli.commands.recording",
    "polytask_cli.launch_runner",
    "polytask_cli.doctor.examination",
    "polytask_visualization.visualizer_node",
)


def lines(name: str) -> list[str]:
    return [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]


def name_of(line: str) -> str:
    return re.split("[=<> ;]", line)[0].lower().replace("_", "-")


def test_it_is_a_part_of_the_lock_with_the_same_versions():
    small, all_of_it = lines("requirements-robot.lock"), lines("requirements.lock")
    assert len(small) > 100
    assert [line for line in small if line not in all_of_it] == []
    names = {name_of(line) for line in small}
    # A package that the lock has in several versions, by Python's, comes with all of them.
    assert [line for line in all_of_it if name_of(line) in names and line not in small] == []


def test_it_is_complete():
    """Whatever its packages ask for is in it, but for what colcon tests with."""
    small, known = ({name_of(line) for line in lines(f"requirements{kind}.lock")} for kind in ("-robot", ""))
    missing = set()
    for name in small:
        try:
            wanted = [Requirement(text) for text in metadata.requires(name) or []]
        except metadata.PackageNotFoundError:
            continue  # for another Python
        for requirement in wanted:
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                missing.add((name, name_of(requirement.name)))
    tests = {("colcon-core", other) for _, other in missing if other.startswith(("pytest", "coverage"))}
    assert {(name, other) for name, other in missing - tests if other in known and other not in small} == set()


@pytest.mark.parametrize("module", LEFT_OUT)
def test_what_it_leaves_out(module):
    distribution = {"ot": "pot", "OpenGL": "pyopengl"}.get(module, module.replace("_", "-"))
    assert distribution not in {name_of(line) for line in lines("requirements-robot.lock")}


def without(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in which what the set leaves out cannot be imported."""
    block = f"import sys\nfor name in {LEFT_OUT}: sys.modules[name] = None\n"
    return subprocess.run([sys.executable, "-c", block + program], capture_output=True, text=True)


def test_serving_and_recording_need_no_more():
    result = without("\n".join(f"import {name}" for name in SERVE_AND_RECORD))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("command", [["demo", "--quick"], ["bench"], ["tasks"]], ids=lambda words: words[0])
def test_what_is_left_out_is_said_in_one_sentence(command, monkeypatch, tmp_path):
    monkeypatch.setenv("POLYTASK_SET", "robot")
    monkeypatch.chdir(tmp_path)
    result = without(f"sys.argv[1:] = {command}\nfrom polytask_cli.cli import main\nmain()")
    assert result.returncode == 1
    said = result.stderr.splitlines()[-1]
    assert re.match("polytask: this needs (gymnasium|mujoco|matplotlib|ot), which is not among what a robot", said), (
        said
    )
    assert said.endswith("; `./polytask setup` installs all packages")
    assert "Traceback" not in result.stderr


def test_a_node_that_is_left_out_is_a_sentence_as_well(monkeypatch):
    monkeypatch.setenv("POLYTASK_SET", "robot")
    result = without("from polytask_sim_bridge.executables import sim_bridge\nsim_bridge()")
    assert result.returncode == 1
    assert "which is not among what a robot needs" in result.stderr
    assert "Traceback" not in result.stderr
