"""How the node begins and ends, and the scripted expert at its controls."""

import signal
import subprocess
import sys
import time

import pytest
import rclpy
from sim_client import Client, simulator

from polytask_interfaces.msg import Command, EpisodeStatus, StateVector
from polytask_robot_io import qos
from polytask_robot_io.embodiment import Embodiment
from polytask_sim_bridge.sim_bridge_node import SimBridgeNode
from polytask_suites import EMBODIMENTS, load_suite, make_env


@pytest.mark.timed
@pytest.mark.parametrize("stepping_mode", ["real_time", "lock_step", "service"])
def test_sigint_ends_it_within_five_seconds_with_the_renderer_closed(stepping_mode):
    with simulator(f"stepping_mode:={stepping_mode}", stderr=subprocess.PIPE) as process:
        client = Client()
        client.watch_camera()
        if stepping_mode == "service":
            client.reset(seed=1, want_image=True)
        client.until(lambda: client.images)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
        client.close()
    assert time.monotonic() - began < 5
    assert errors == ""
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (["stepping_mode:=warp"], "'stepping_mode' is 'warp'; it must be one of real_time, lock_step, service"),
        (["pace:=lock_step"], "'pace' is now called 'stepping_mode'; set stepping_mode:=lock_step"),
        (["suite:=garden"], "'suite' is 'garden'"),
        (["task:=fly"], "has no task 'fly'"),
        (["seed:=-4"], "'seed'"),
        (["embodiment:=nobody"], "no embodiment named 'nobody'"),
        (["embodiment:=sawyer_metaworld"], "does not fit suite 'tabletop'"),
        (["use_sim_time:=true"], "set use_sim_time to false"),
    ],
)
def test_wrong_parameters_are_refused_with_a_remedy(parameters, said):
    arguments = [word for parameter in parameters for word in ("-p", parameter)]
    rclpy.init(args=["--ros-args", *arguments])
    try:
        with pytest.raises(ValueError, match=said):  # which run_node turns into a message and status 2
            SimBridgeNode()
    finally:
        rclpy.shutdown()


@pytest.mark.parametrize("suite", sorted(EMBODIMENTS))
def test_embodiment_files_agree_with_the_suites(suite):
    config = load_suite(suite)
    env = make_env(suite, next(iter(config.tasks)))
    embodiment = Embodiment.load(EMBODIMENTS[suite])
    assert embodiment.state_names == tuple(env.state_names)
    assert embodiment.rate == env.control_rate
    assert len(embodiment.command) == env.action_space.shape[0]
    assert (embodiment.cameras[0].width, embodiment.cameras[0].height) == (config.camera.width, config.camera.height)
    env.close()


def test_the_scripted_expert_drives():
    """Over topics in lock-step, with the simulator's task, to success."""
    command = [sys.executable, "-m", "polytask_sim_bridge.scripted_expert_node", "--ros-args", "-p", "noise:=0.1"]
    with simulator("stepping_mode:=lock_step", "task:=drawer-open"):
        expert = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        client = Client()
        try:
            for task, seed in (("drawer-open", 1), ("drawer-close", 2)):
                client.reset(task, seed)
                client.until(lambda seed=seed: client.statuses[-1].seed == seed and client.statuses[-1].ended)
                assert client.statuses[-1].termination_reason == EpisodeStatus.SUCCEEDED
        finally:
            client.close()
            expert.send_signal(signal.SIGINT)
            _, errors = expert.communicate(timeout=60)
    assert expert.returncode == 0
    assert "Traceback" not in errors


def test_a_command_that_was_not_heard_is_sent_again(ros_domain):
    """In lock-step the simulator says the same again while nobody answers, and the expert may think that it has."""
    expert = subprocess.Popen([sys.executable, "-m", "polytask_sim_bridge.scripted_expert_node"])
    client = Client(simulated=False)
    try:
        states = client.node.create_publisher(StateVector, "state", qos.STATE)
        statuses = client.node.create_publisher(EpisodeStatus, "episode", qos.EPISODE)
        commands = []
        client.node.create_subscription(Command, "command", commands.append, qos.COMMAND)
        client.until(lambda: states.get_subscription_count() == statuses.get_subscription_count() == 2)  # its and ours
        env = make_env("tabletop", "drawer-open")
        state, _ = env.reset(seed=1)
        message = StateVector(names=env.state_names, values=state["state"])
        message.header.stamp.sec = 5
        status = EpisodeStatus(task="drawer-open", suite="tabletop", episode_id="tabletop/drawer-open/1", seed=1)
        status.header.stamp.sec = 5
        for count in (1, 2):
            states.publish(message)
            statuses.publish(status)
            client.until(lambda count=count: len(commands) == count)
        assert commands[0] == commands[1]
        assert commands[0].observation_stamp.sec == 5
    finally:
        client.close()
        expert.send_signal(signal.SIGINT)
        expert.wait(20)
