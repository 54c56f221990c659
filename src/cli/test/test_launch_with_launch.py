"""Where launch_ros is installed: what is looked at before it starts anything, and what is left of it afterwards.

A stand-in for launch here: it starts one node, and is as deaf to SIGTERM as the real one is careless with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_launch_processes import RUN, gone, read_until

LAUNCH = """
import os, signal, subprocess, sys

class LaunchDescription:
    def __init__(self, entities):
        pass

class LaunchService:
    def include_launch_description(self, description):
        pass

    def run(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        node = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        print("up", os.getpid(), node.pid, flush=True)
        try:
            node.wait()
        except KeyboardInterrupt:
            node.wait()
        return 0
"""
PARTS = {
    "actions": "IncludeLaunchDescription = RegisterEventHandler = lambda *_, **__: None",
    "event_handlers": "OnProcessExit = lambda *_, **__: None",
    "launch_description_sources": "AnyLaunchDescriptionSource = lambda *_, **__: None",
}


@pytest.fixture
def start(tmp_path: Path):
    """Starts a launch file with the stand-in on the path."""
    for package, text in {"launch": LAUNCH, "launch_ros": ""}.items():
        (tmp_path / "stand-in" / package).mkdir(parents=True)
        (tmp_path / "stand-in" / package / "__init__.py").write_text(text)
    for name, text in PARTS.items():
        (tmp_path / "stand-in" / "launch" / f"{name}.py").write_text(text)
    env = {**os.environ, "PYTHONPATH": f"{tmp_path / 'stand-in'}:{os.environ.get('PYTHONPATH', '')}"}

    def run(text: str) -> subprocess.Popen[str]:
        path = tmp_path / "test.launch.yaml"
        path.write_text(text)
        return subprocess.Popen(
            [sys.executable, "-c", RUN, str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
        )

    return run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_launch_and_its_nodes(start, number):
    process = start("launch:\n- node: {exec: sleep, args: '60'}\n")
    line = read_until(process, "up ")[-1]
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert [pid for pid in map(int, line.split()[1:]) if not gone(pid)] == []


def test_a_tag_that_only_launch_understands_is_left_to_it(start):
    process = start("launch:\n- log: {message: hello}\n")
    line = read_until(process, "up ")[-1]
    os.kill(int(line.split()[2]), signal.SIGKILL)  # the node; launch then ends by itself
    process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- node: {exec: sleep}\n- node: {pkg: rviz2, exec: rviz2}", "package 'rviz2' is not installed"),
        ("- node: {exec: sleep, param: [{from: /no/such.yaml}]}", "there is no parameter file /no/such.yaml"),
        ("- node: {exec: sleep, namespace: '1'}", "'1' cannot be a namespace"),
        ("- arg: {name: needed}", "argument 'needed' has no default"),
    ],
)
def test_what_is_wrong_is_said_before_launch_starts_anything(start, text, words):
    process = start(f"launch:\n{text}\n")
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "refused: " in output
    assert words in output
    assert "up " not in output
