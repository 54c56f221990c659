"""The whole job at reduced size, with every node a process of its own started from the launch files.

How well the policy does is not the matter here (the demo measures that): everything has to fit together.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from graph import Graph
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image
from stacks import PATIENCE, Stack

from polytask_demo_recorder.dataset.reader import read_episode
from polytask_interfaces.action import Distill, ExecuteTask, LearnTask, RecordEpisodes
from polytask_interfaces.msg import Command, Outcome, StateVector
from polytask_interfaces.srv import ResetEpisode
from polytask_policy.checkpoint import load_checkpoint
from polytask_robot_io import qos
from polytask_robot_io.images import to_message

TASKS = ("drawer-close", "reach")
LATER = "box-open"
"""Learned when the policy is being served."""
UNUSED = "drawer-open"
SEEDS = {"drawer-close": 3, "reach": 4, LATER: 5}
LOCK_STEP = {"stepping_mode": "lock_step", "use_sim_time": "true"}
SETTINGS = {
    "steps": 360,
    "seed_episodes": 2,
    "critic_updates": 20,
    "goal_pictures": 6,
    "goal_rollouts": 8,
    "checkpoint_seconds": 0.0,  # after every episode
    "cloning": {"steps": 300},
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def ros_domain(module_ros_domain: int) -> int:
    return module_ros_domain


@pytest.fixture(scope="module")
def graph(module_graph):
    return module_graph


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("job")


@pytest.fixture(scope="module")
def recorded(folder, graph, module_up) -> dict[str, Path]:
    """One demonstration per task, shown by the scripted expert and recorded over the topics: file by task."""
    stack = module_up("record", dataset=folder / "demonstrations", **LOCK_STEP)

    def record(task: str, seed: int) -> Path:
        recording = graph.send(RecordEpisodes, "record_episodes", task=task, episodes=1, timeout=60.0)
        graph.call(ResetEpisode, "reset_episode", task=task, seed=seed)
        graph.until(lambda: recording.done, f"recording of {task}")
        assert recording.result.outcome == Outcome.SUCCEEDED, recording.result.message
        [file] = recording.result.files
        return Path(file)

    # The nodes are there, but the recorder may not have met the expert yet, and would miss its first commands.
    for _ in range(20):
        counts = messages(record(UNUSED, 6))
        if counts.get("/command", 0) >= counts["/state"] - 1:
            break
    files = {task: record(task, seed) for task, seed in SEEDS.items()}
    stack.close()
    return files


def messages(path: Path) -> dict[str, int]:
    """Number of messages in a recording by topic."""
    with AnyReader([path]) as reader:
        return {connection.topic: connection.msgcount for connection in reader.connections}


@pytest.fixture(scope="module")
def trainer_params(folder) -> Path:
    settings = folder / "settings.yaml"
    settings.write_text(yaml.safe_dump(SETTINGS))
    path = folder / "trainer.yaml"
    path.write_text(yaml.safe_dump({"/**/trainer": {"ros__parameters": {"settings": str(settings)}}}))
    return path


@pytest.fixture(scope="module")
def experts(folder, graph, module_up, recorded, trainer_params) -> dict[str, Path]:
    """An expert for each task, learned in the trainer's process; run folder by task."""
    stack = module_up("train", simulation="false", params_file=trainer_params)
    folders = {}
    for task in TASKS:
        output = folder / "experts" / task
        steps = {} if task == TASKS[0] else {"steps": 120}
        learned = graph.ask(LearnTask, "learn_task", 120.0, **learning(task, recorded, output), **steps)
        assert learned.outcome == Outcome.SUCCEEDED, learned.message
        folders[task] = Path(learned.checkpoint)
    stack.close()
    return folders


@pytest.fixture(scope="module")
def unified(folder, graph, module_up, experts) -> Path:
    """One policy distilled from the experts."""
    stack = module_up("train", simulation="false")
    result = graph.ask(
        Distill,
        "distill",
        120.0,
        experts=[str(path) for path in experts.values()],
        output=str(folder / "unified"),
        steps=400,
    )
    stack.close()
    assert result.outcome == Outcome.SUCCEEDED, result.message
    return Path(result.checkpoint)


@pytest.fixture(scope="module")
def server(graph, module_up, unified) -> Iterator[Stack]:
    """The policy served next to a simulation in lock-step."""
    stack = module_up("serve", checkpoint=unified, **LOCK_STEP)
    yield stack
    assert stack.alive(), "the server has ended"
    stack.close()


def learning(task: str, recorded: dict[str, Path], output: Path) -> dict[str, object]:
    """Goal of learn_task."""
    return {"task": task, "demonstrations": str(recorded[task].parent), "output": str(output), "seed": 1}


def goal_picture(experts: dict[str, Path], task: str) -> Image:
    """What the camera sees at the end of the expert's best episode."""
    with np.load(experts[task] / "goal_images.npz", allow_pickle=False) as file:
        return to_message(file["images"][0])


@pytest.mark.parametrize("task", TASKS)
def test_recordings_open_as_bags(recorded, task):
    path = recorded[task]
    episode = read_episode(path, cameras=True)
    assert (episode.task, episode.outcome, episode.seed) == (task, "success", SEEDS[task])
    assert episode.images["camera"].shape == (len(episode.state), 84, 84, 3)
    with AnyReader([path]) as reader:
        topics = {connection.topic: connection for connection in reader.connections}
        assert {"/state", "/command", "/episode", "/joint_states", "/camera/image_raw", "/camera/camera_info"} <= set(
            topics
        )
        read = {
            topic: [reader.deserialize(data, connection.msgtype) for _, _, data in reader.messages([connection])]
            for topic, connection in topics.items()
        }
    steps = len(episode.action)
    assert len(read["/state"]) == len(read["/camera/image_raw"]) == steps + 1
    assert len(read["/command"]) >= steps
    assert read["/episode"][-1].success
    states = np.array([message.values for message in read["/state"]], dtype=np.float32)
    assert states.tobytes() == episode.state.tobytes()


def test_learning_killed_and_resumed_through_the_topics_gives_the_same_expert(
    folder, module_up, recorded, experts, trainer_params
):
    task = TASKS[0]
    goal = learning(task, recorded, folder / "resumed")
    # A namespace of its own, and another participant each time: whoever saw a killed node takes it for alive, and sends
    # goals to it, for as long as its lease lasts.
    arguments = {"params_file": trainer_params, "task": task, "namespace": "killed"}
    stack = module_up("train", **arguments)
    with closing(Graph("killed")) as graph:
        begun = graph.send(LearnTask, "learn_task", **goal)
        graph.until(lambda: any(at.phase == "rl" for at in begun.feedback), "an episode after the seeds", 120.0)
        assert not begun.done
        assert stack.kill() >= 4  # runner, simulator, trainer, its worker
    assert not (folder / "resumed" / "checkpoint.json").exists(), "it had finished: nothing was interrupted"
    stack.close()
    stack = module_up("train", **arguments)
    with closing(Graph("killed")) as graph:
        resumed = graph.send(LearnTask, "learn_task", **goal)
        graph.until(lambda: resumed.done, "the expert", 120.0)
    stack.close()
    assert resumed.result.outcome == Outcome.SUCCEEDED, resumed.result.message
    assert "seed" not in {at.phase for at in resumed.feedback}, "it began anew"
    tensors, _ = load_checkpoint(folder / "resumed")
    expected, _ = load_checkpoint(experts[task])
    assert tensors.keys() == expected.keys()
    assert [name for name in tensors if not torch.equal(tensors[name], expected[name])] == []
    for name in ("replay.npz", "goal_images.npz"):
        with np.load(folder / "resumed" / name) as ours, np.load(experts[task] / name) as theirs:
            assert ours.files == theirs.files
            assert all(np.array_equal(ours[key], theirs[key]) for key in ours.files), name


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", ["words", "image", "task"])
def test_asked_in_every_way_it_understands_and_acts(graph, server, experts, task, kind):
    words = {"drawer-close": "push the drawer shut", "reach": "reach the target"}
    goals = {"words": {"words": words[task]}, "image": {"image": goal_picture(experts, task)}, "task": {"task": task}}
    graph.call(ResetEpisode, "reset_episode", task=task, seed=20_000)
    result = graph.ask(ExecuteTask, "execute_task", **goals[kind])
    assert result.outcome in (Outcome.SUCCEEDED, Outcome.TIMED_OUT), result.message
    assert result.matched_task == task
    assert result.similarity == pytest.approx(1.0) if kind == "task" else result.similarity > 0.5
    assert result.steps > 0
    assert result.message


BAD_GOALS = {
    "unknown words": ({"words": "whistle a tune about the sea"}, "nothing this policy was taught"),
    "no words": ({"words": "  "}, "empty"),
    "empty": ({}, "empty"),
    "unknown name": ({"task": "drawer-clos"}, "did you mean drawer-close?"),
    "two at once": ({"words": "close the drawer", "task": "reach"}, "at once"),
    "wrong encoding": ({"image": Image(height=84, width=84, step=84, encoding="mono8", data=bytes(84 * 84))}, "mono8"),
    "no pixels": ({"image": Image(encoding="rgb8")}, "0x0"),
    "truncated": ({"image": Image(height=84, width=84, step=252, encoding="rgb8", data=bytes(1000))}, "truncated"),
    "black": ({"image": Image(height=84, width=84, step=252, encoding="rgb8", data=bytes(84 * 84 * 3))}, ""),
    "negative timeout": ({"task": "reach", "timeout": -1.0}, "timeout"),
}


@pytest.mark.parametrize("name", BAD_GOALS)
def test_a_bad_goal_is_refused_with_its_reason_and_the_server_goes_on(graph, server, name):
    goal, reason = BAD_GOALS[name]
    refused = graph.ask(ExecuteTask, "execute_task", **goal)
    assert refused.outcome == Outcome.UNKNOWN_GOAL, refused.message
    assert reason in refused.message
    assert refused.message
    assert refused.steps == 0
    graph.call(ResetEpisode, "reset_episode", task="reach", seed=20_001)
    result = graph.ask(ExecuteTask, "execute_task", task="reach")
    assert result.outcome in (Outcome.SUCCEEDED, Outcome.TIMED_OUT), result.message


def test_a_broken_state_is_no_end(graph, server):
    """Somebody publishes rubbish on the robot's topic; the server says no to it and goes on."""
    publisher = graph.node.create_publisher(StateVector, "state", qos.STATE)
    graph.until(lambda: publisher.get_subscription_count() >= 1, "the server's subscription")
    publisher.publish(StateVector(names=["grasp.x"], values=[float("nan")]))
    graph.call(ResetEpisode, "reset_episode", task="reach", seed=20_002)
    result = graph.ask(ExecuteTask, "execute_task", task="reach")
    assert result.outcome in (Outcome.SUCCEEDED, Outcome.TIMED_OUT, Outcome.STALE_OBSERVATIONS), result.message
    graph.node.destroy_publisher(publisher)
    graph.call(ResetEpisode, "reset_episode", task="reach", seed=20_002)
    result = graph.ask(ExecuteTask, "execute_task", task="reach")
    assert result.outcome in (Outcome.SUCCEEDED, Outcome.TIMED_OUT), result.message


def test_the_ask_command(graph, server):
    graph.call(ResetEpisode, "reset_episode", task="drawer-close", seed=20_003)
    command = [sys.executable, "-m", "polytask_cli", "ask", "shut the drawer"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    said = done.stdout + done.stderr
    assert "drawer-close" in said
    assert done.returncode == (0 if "SUCCEEDED" in said else 1), said


@pytest.mark.timeout(400)
def test_asked_again_and_again_in_a_world_that_goes_on(module_up, unified):
    """As the README says it: serve, then ask and ask, in any order, without any other command."""
    stack = module_up("serve", checkpoint=unified, namespace="world")

    def command(*arguments: str) -> tuple[int, str]:
        call = [sys.executable, "-m", "polytask_cli", *arguments, "--namespace", "world"]
        done = subprocess.run(call, capture_output=True, text=True, timeout=90)
        return done.returncode, done.stdout + done.stderr

    for sentence, task in 3 * (("shut the drawer", "drawer-close"), ("reach the target", "reach")):
        status, said = command("ask", sentence, "--timeout", "2")
        assert f"{task} (similarity" in said, said
        assert "SUCCEEDED" in said if status == 0 else "TIMED_OUT" in said, said
    status, said = command("reset", "--seed", "7")
    assert (status, said.strip()) == (0, "tabletop/world/7-0002: start 7")
    status, said = command("reset", "--task", "fly")
    assert status == 1
    assert "has no task 'fly'" in said
    status, said = command("ask", "shut the drawer", "--timeout", "2")
    assert "drawer-close (similarity" in said, said
    stack.close()


@pytest.mark.timeout(600)
def test_one_more_task_is_learned_into_the_served_policy_and_asked_without_a_restart(
    folder, graph, server, recorded, unified, trainer_params
):
    """`learn --into` as a user calls it, with everything real: expert, assimilation, the server's change of policy."""
    refused = graph.ask(ExecuteTask, "execute_task", task=LATER)
    assert refused.outcome == Outcome.UNKNOWN_GOAL, refused.message
    nodes = {pid for pid, command in server.processes().items() if "__node:=" in command}
    assert len(nodes) == 2
    command = [sys.executable, "-m", "polytask_cli", "learn", LATER, "--into", unified, "--steps", "120"]
    command += ["--demonstrations", recorded[LATER].parent, "--output", folder / "later"]
    command += ["--settings", trainer_params.parent / "settings.yaml"]
    taught = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=400)
    assert taught.returncode == 0, taught.stdout + taught.stderr
    assert f"knows {LATER}" in " ".join(taught.stdout.split())
    assert load_checkpoint(unified)[1]["tasks"] == [*TASKS, LATER]
    assert load_checkpoint(unified / "previous")[1]["tasks"] == list(TASKS)

    def asked(understood: str, **goal: str) -> bool:
        graph.call(ResetEpisode, "reset_episode", task=understood, seed=20_004)
        result = graph.ask(ExecuteTask, "execute_task", **goal)
        if result.outcome == Outcome.UNKNOWN_GOAL:
            return False
        assert result.outcome in (Outcome.SUCCEEDED, Outcome.TIMED_OUT), result.message
        assert result.matched_task == understood
        return True

    graph.until(lambda: asked(LATER, task=LATER), "the new policy to be served")
    assert asked(LATER, words="open the box")
    for task in TASKS:
        assert asked(task, task=task)
    assert asked("drawer-close", words="push the drawer shut")
    assert nodes <= server.processes().keys(), "something was started anew"


def test_ctrl_c_in_mid_motion_stops_the_robot_and_tells_the_client(graph, module_up, unified):
    commands = graph.listen(Command, "/moving/command", qos.COMMAND)
    stack = module_up("serve", checkpoint=unified, namespace="moving", task="drawer-close")
    while True:
        goal = graph.send(ExecuteTask, "/moving/execute_task", task="drawer-close", timeout=60.0)
        graph.until(lambda goal=goal: goal.feedback or goal.done, "the robot to move")
        if goal.feedback:
            break
        # Sent before the server had found the simulator.
        assert goal.result.outcome == Outcome.STALE_OBSERVATIONS, goal.result.message
    stack.process.send_signal(signal.SIGINT)
    graph.until(lambda: goal.done, "the end of the goal", watch=False)
    assert goal.result.outcome in (Outcome.INTERNAL_ERROR, Outcome.SUCCEEDED), goal.result.message
    graph.until(lambda: not any(commands[-1].values), "a zero command", watch=False)
    stack.process.wait(PATIENCE)
    assert stack.processes() == {}
