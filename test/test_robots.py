"""What holds between processes: two robots side by side, and pictures of any size."""

from __future__ import annotations

import os
from pathlib import Path

from graph import Graph

from polytask_cli.doctor.topics import transfer
from polytask_interfaces.msg import EpisodeStatus, StateVector
from polytask_interfaces.srv import ResetEpisode
from polytask_robot_io import qos

GLOBAL = {"/clock", "/diagnostics", "/parameter_events", "/rosout"}


def test_two_robots_side_by_side(up, ros_domain):
    robots = {name: Graph(name) for name in ("left", "right")}
    try:
        for name in robots:
            up("simulation", namespace=name, stepping_mode="service", task="reach")
        left, right = robots.values()
        states = {name: graph.listen(StateVector, "state", qos.STATE) for name, graph in robots.items()}
        statuses = {name: graph.listen(EpisodeStatus, "episode", qos.EPISODE) for name, graph in robots.items()}
        for number, graph in enumerate(robots.values()):
            answer = graph.call(ResetEpisode, "reset_episode", task="drawer-open", seed=10 + number)
            assert answer.status.seed == 10 + number
        for number, (name, graph) in enumerate(robots.items()):
            graph.until(lambda name=name: statuses[name] and states[name], f"topics of {name}")
            seed = 10 + number
            graph.until(lambda name=name, seed=seed: statuses[name][-1].seed == seed, f"{name} to be reset")
            assert all(status.seed in (0, seed) for status in statuses[name]), "heard the other robot"
        assert {node for node in left.nodes() if node.endswith("sim_bridge")} == {
            "/left/sim_bridge",
            "/right/sim_bridge",
        }
        # Neither robot offers actions; those in the graph are of nodes that died elsewhere and are not yet forgotten.
        topics = {topic for topic in right.topics() if "/_action/" not in topic}
        assert {topic for topic in topics if not topic.startswith(("/left/", "/right/"))} <= GLOBAL
    finally:
        for graph in robots.values():
            graph.close()


def test_large_pictures_arrive_in_another_process(ros_domain):
    """One megabyte each, as 640x480 and more: without the profile none would."""
    profile = Path(os.environ["FASTDDS_DEFAULT_PROFILES_FILE"])
    assert profile.is_file()
    sent, delays = transfer()
    assert len(delays) >= sent // 2  # best effort: on a busy machine some may be lost
