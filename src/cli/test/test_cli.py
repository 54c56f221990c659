"""The command: its help is complete and quick, and its errors are sentences."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import yaml
from typer.main import get_command

from polytask_cli.cli import app

COMMANDS = (
    "demo",
    "test",
    "up",
    "record",
    "learn",
    "distill",
    "experiment",
    "serve",
    "ask",
    "reset",
    "evaluate",
    "tasks",
    "doctor",
    "docs",
    "bench",
    "setup",
)


def polytask(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "polytask_cli", *arguments], capture_output=True, text=True, timeout=timeout
    )


def test_every_command_is_there_and_documents_all_it_takes():
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert set(commands) == set(COMMANDS)
    for name, command in commands.items():
        assert command.help, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name}: {parameter.name} has no help"


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from polytask_cli.cli import app; from typer.main import get_command; get_command(app);"
        "print([name for name in ('torch', 'rclpy', 'numpy', 'mujoco', 'cv2') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "[]\n", result.stdout + result.stderr


def test_experiments_are_listed():
    result = polytask("experiment", "--list")
    assert result.returncode == 0
    assert "multitask  Experts and the unified policy" in result.stdout


def test_tasks():
    result = polytask("tasks", "--sentences")
    assert result.returncode == 0
    assert "drawer-open" in result.stdout
    assert "“" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["tasks", "--suite", "nope"], 1, "nope"),
        (["record", "nope"], 1, "no task 'nope'; it has:"),
        (["demo", "--tasks", "nope,reach"], 1, "no task nope"),
        (["evaluate", "/no/such"], 1, "/no/such"),
        (
            ["experiment", "nope", "--budget", "smoke", "--runs", "OUTPUT"],
            1,
            "no experiment 'nope'; there are: multitask",
        ),
        (["experiment", "--report", "--budget", "smoke", "--runs", "OUTPUT", "lifelong"], 1, "no run has finished yet"),
        (["serve", "/no/such"], 1, "there is no folder /no/such"),
        (["up", "nope"], 1, "there is no launch file 'nope'; the project's own are: demo, record"),
        (["up", "simulation", "task=reach"], 2, "write NAME:=VALUE"),
        (["up", "simulation", "pace:=lock_step"], 1, "did you mean stepping_mode?"),
        (["up", "simulation", "tusk:=reach"], 1, "did you mean task?"),
        (["up", "simulation", "namespace:=1"], 1, "'1' cannot be a namespace: each of its parts begins with a letter"),
        (["up", "simulation", "seed:=0x10"], 1, "parameter 'seed': '0x10' is not a whole number"),
        (["up", "[/bold]"], 1, "there is no launch file '[/bold]'"),
        (["up", "simulation", "[/bold]"], 2, "'[/bold]' is not a launch argument; write NAME:=VALUE"),
        (["serve", "/no/[/bold]"], 1, "there is no folder /no/[/bold]"),
        (["learn", "drawer-open", "--demonstrations", "/no/such", "--output", "OUTPUT"], 1, "/no/such"),
        (["distill", "/no/such", "--output", "OUTPUT"], 1, "/no/such"),
    ],
)
def test_errors_are_sentences(arguments, status, words, tmp_path):
    result = polytask(*[str(tmp_path) if argument == "OUTPUT" else argument for argument in arguments])
    assert result.returncode == status, result.stdout + result.stderr
    assert words in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "env", "words"),
    [
        (["ask", "open the drawer"], {"ROS_DOMAIN_ID": "300"}, "polytask: ROS_DOMAIN_ID is '300'; it has to be"),
        (["up", "simulation"], {"ROS_DOMAIN_ID": "abc"}, "polytask: ROS_DOMAIN_ID is 'abc'; it has to be"),
        (["record", "reach", "--running"], {"ROS_DOMAIN_ID": "-1"}, "polytask: ROS_DOMAIN_ID is '-1'; it has to be"),
        (["ask", "x", "--namespace", "1"], {}, "polytask: '1' cannot be a namespace: each of its parts begins with"),
        (["record", "reach", "--namespace", "a-b"], {}, "polytask: 'a-b' cannot be a namespace"),
    ],
)
def test_what_ros_refuses_is_a_sentence(arguments, env, words, monkeypatch):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    result = polytask(*arguments)
    assert result.returncode == 1
    assert result.stderr.startswith(words)
    assert "Traceback" not in result.stderr


def test_arguments_of_a_launch_file():
    result = polytask("up", "serve", "--show-args")
    assert result.returncode == 0
    assert "checkpoint" in result.stdout
    assert result.stdout.count("namespace") >= 1


@pytest.mark.alone
def test_help_is_quick():
    polytask("--help")
    began = time.monotonic()
    polytask("--help")
    assert time.monotonic() - began < 1.0


def test_rviz_layout_shows_camera_state_and_goal():
    from pathlib import Path

    layout = yaml.safe_load((Path(__file__).parents[3] / "config" / "rviz" / "polytask.rviz").read_text())
    topics = {
        display["Name"]: display["Topic"]["Value"]
        for display in layout["Visualization Manager"]["Displays"]
        if "Topic" in display
    }
    assert topics == {"Camera": "camera/image_raw", "State": "state_markers", "Goal": "goal_markers"}
