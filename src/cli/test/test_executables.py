"""The packages' executables: light until their signals are looked after."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2]
ENTRY = re.compile(r'"(\w+) = (\w+)\.(\w+):(\w+)"')
ENTRIES = [match for setup in sorted(SOURCES.glob("*/setup.py")) for match in ENTRY.findall(setup.read_text())]
HEAVY = ("torch", "rclpy", "numpy", "mujoco", "cv2", "typer", "rich", "yaml")


def test_there_are_some():
    assert {name for name, *_ in ENTRIES} == {
        *("demo_recorder", "keyboard_teleop", "policy_server", "polytask", "scripted_expert", "sim_bridge", "trainer"),
        "visualizer",
    }


@pytest.mark.parametrize(("name", "package", "module", "function"), ENTRIES)
def test_an_entry_point_imports_nothing_heavy(name, package, module, function):
    code = f"import sys; from {package}.{module} import {function}; print([n for n in {HEAVY} if n in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "[]\n", result.stdout + result.stderr
    if name != "polytask":
        assert module == "executables"
        node = {"demo_recorder": "recording.recorder_node", "keyboard_teleop": "teleop.keyboard_teleop_node"}
        assert callable(importlib.import_module(f"{package}.{node.get(name, f'{name}_node')}").main)


def test_ctrl_c_while_the_command_is_imported():
    program = (
        "import os, signal, sys, types; stub = types.ModuleType('polytask_cli.cli');"
        "stub.__getattr__ = lambda name: os.kill(os.getpid(), signal.SIGINT);"
        "sys.modules['polytask_cli.cli'] = stub;"
        "from polytask_cli.__main__ import main; main()"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")
