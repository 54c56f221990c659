"""Every launch file with its real nodes: all come up, Ctrl-C ends all and leaves nothing behind."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from stacks import PATIENCE

from polytask_cli.launch_runner import find_launch_file
from polytask_cli.launch_runner.launch_file import LaunchFile

ACTION = "/_action/send_goal"
SIMULATION = {"/sim_bridge": ("/reset_episode", "/step_episode", "/list_tasks")}
SERVER = {"/policy_server": (f"/execute_task{ACTION}",)}
FILES: dict[str, dict[str, tuple[str, ...]]] = {
    "simulation": SIMULATION,
    "record": {**SIMULATION, "/scripted_expert": (), "/demo_recorder": (f"/record_episodes{ACTION}",)},
    "train": {**SIMULATION, "/trainer": (f"/learn_task{ACTION}", f"/distill{ACTION}")},
    "serve": {**SIMULATION, **SERVER},
    "demo": {**SIMULATION, **SERVER},
}
"""By launch file: the nodes it must start, and the services of each."""
STOPPED_IN = 5.0  # s


def arguments_of(name: str, untrained: Path, folder: Path) -> dict[str, object]:
    return {"serve": {"checkpoint": untrained}, "demo": {"checkpoint": untrained}, "record": {"dataset": folder}}.get(
        name, {}
    )


def test_no_launch_file_is_forgotten():
    there = {path.name.removesuffix(".launch.yaml") for path in find_launch_file("simulation").parent.glob("*.yaml")}
    assert there == set(FILES)


@pytest.mark.timed
@pytest.mark.parametrize("name", FILES)
def test_all_nodes_come_up_and_ctrl_c_ends_them(name, up, graph, untrained, tmp_path):
    arguments = arguments_of(name, untrained, tmp_path)
    described = LaunchFile(find_launch_file(name), {key: str(value) for key, value in arguments.items()}).nodes
    assert len(described) == len(FILES[name])
    stack = up(name, **arguments)
    graph.until(lambda: set(FILES[name]) <= graph.nodes(), f"nodes {', '.join(FILES[name])}")
    services = {service for node in FILES[name].values() for service in node}
    graph.until(lambda: services <= graph.services(), f"services {', '.join(services)}")
    assert len(stack.processes()) >= 1 + len(FILES[name])
    took = stack.interrupt()
    assert stack.processes() == {}
    assert took < STOPPED_IN
    assert stack.process.returncode == 0
    assert "Traceback" not in stack.output()


@pytest.mark.timed
def test_ctrl_c_while_nodes_are_still_starting(up, graph, untrained):
    stack = up("serve", checkpoint=untrained)
    graph.until(lambda: len(stack.processes()) >= 3, "the processes")
    took = stack.interrupt()
    assert stack.processes() == {}
    assert took < STOPPED_IN
    # Python's own first moments and the script that setuptools made, before any line of ours, still tell of it.
    assert not re.search(r'File "[^"]*polytask_[^"]*\.py"', stack.output())


def test_a_killed_runner_takes_its_nodes_with_it(up, graph):
    stack = up("simulation")
    graph.until(lambda: "/sim_bridge" in graph.nodes(), "the simulator")
    assert stack.kill("polytask_cli up") == 1
    stack.process.wait()
    deadline = time.monotonic() + PATIENCE
    while stack.processes():
        assert time.monotonic() < deadline, f"left behind: {stack.processes()}"


def test_a_node_that_cannot_start_ends_the_others_and_says_why(up, graph, tmp_path):
    stack = up("serve", checkpoint=tmp_path / "nothing")
    stack.process.wait(PATIENCE)
    assert stack.process.returncode == 1
    assert stack.processes() == {}
    assert str(tmp_path / "nothing") in stack.output()
    assert "Traceback" not in stack.output()
