"""What a recorder does with a robot that is not as it should be: everything is said while it happens."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.action import ActionClient
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import QoSProfile
from recorder_process import Recorder, ToyRobot, started, wait_for
from toy_episodes import TYPES, toy_action

from polytask_demo_recorder.dataset.reader import read_episode
from polytask_demo_recorder.errors import RecordingError
from polytask_demo_recorder.teleop.client import Progress, record
from polytask_interfaces.action import RecordEpisodes
from polytask_interfaces.msg import Outcome

RECORDER = "polytask_demo_recorder.recording.recorder_node"


@pytest.fixture
def robot(ros_domain: int) -> Iterator[ToyRobot]:
    toy_robot = ToyRobot()
    yield toy_robot
    toy_robot.close()


@pytest.fixture
def recorder(ros_domain: int, robot: ToyRobot, tmp_path: Path) -> Iterator[Recorder]:
    with started(tmp_path, tmp_path / "data") as one:
        robot.heard()
        yield one


def test_noise_in_place_of_messages_is_dropped_and_counted(robot: ToyRobot, recorder: Recorder) -> None:
    handle = robot.ask()
    noise = (b"", b"\0\1\0\0", b"\0\1\0\0" + b"\xff" * 64, b"\7" * 11, bytes(range(256)) * 40)
    robot.noise = {3: noise}
    robot.publish(20, pause=0.005)
    result = robot.result(handle)
    assert result.outcome == Outcome.SUCCEEDED, result.message
    episode = read_episode(result.files[0])
    np.testing.assert_array_equal(episode.action, [toy_action(step) for step in range(20)])
    for topic in ("state", "episode", "command", "camera/image_raw"):
        assert f"{topic}: " in result.message
    assert "dropped" in result.message
    assert recorder.process.poll() is None
    handle = robot.ask()
    robot.noise = {}
    robot.publish(5)
    assert robot.result(handle).outcome == Outcome.SUCCEEDED


def test_an_episode_without_commands_is_discarded_and_said(robot: ToyRobot, tmp_path: Path) -> None:
    with started(tmp_path, tmp_path / "data", remap={"command": "/nobody"}) as recorder:
        robot.heard([topic for topic in TYPES if topic != "/command"])
        handle = robot.ask()
        wait_for(lambda: robot.feedback)
        recorder.says("nobody publishes /nobody yet")
        robot.publish(10)
        wait_for(lambda: robot.feedback[-1].discarded == 1)
        recorder.says("episodes that could not be used: nobody published 'command'")
        handle.cancel_goal_async()
        result = robot.result(handle)
    assert "1 could not be used and were discarded, the last because: nobody published 'command'" in result.message
    assert list((tmp_path / "data" / "push").iterdir()) == []


def test_the_client_ends_with_the_reason_when_nothing_can_be_used(
    robot: ToyRobot, recorder: Recorder, tmp_path: Path
) -> None:
    def wrong(topic: str, message: Any) -> None:
        if topic == "/camera/image_raw":
            message.encoding = "rgba8"

    robot.spoil = wrong
    seeds = robot.serve_resets(steps=20)
    told: list[Progress] = []
    with pytest.raises(RecordingError, match=r"3 episodes in a row could not be used: 0 observations.*'rgba8'"):
        record("push", 2, tmp_path / "data", seed=3, on_progress=told.append)
    assert seeds[:3] == [3, 4, 5]  # a next one may have been asked for when the third was told
    assert len(seeds) <= 4
    reasons = {progress.reason for progress in told}
    assert any("image encoding is 'rgba8'" in reason for reason in reasons)


def test_feedback_waits_for_the_camera_and_the_goal_ends_without_it(ros_domain: int, tmp_path: Path) -> None:
    robot = ToyRobot(without=("/camera/image_raw",))
    try:
        with started(tmp_path, tmp_path / "data") as recorder:
            robot.heard([topic for topic in TYPES if topic != "/camera/image_raw"])
            result = robot.result(robot.ask(timeout=1.5))
            assert result.outcome == Outcome.TIMED_OUT
            assert "nobody to be heard on /camera/image_raw within 1.5 s" in result.message
            assert robot.feedback == []
            recorder.says("nobody to be heard on /camera/image_raw")
            handle = robot.ask()
            robot.advertise("/camera/image_raw")
            wait_for(lambda: robot.feedback)
            robot.publish(5)
            assert robot.result(handle).outcome == Outcome.SUCCEEDED
    finally:
        robot.close()


def test_thirty_goals_at_once_are_all_answered(robot: ToyRobot, recorder: Recorder) -> None:
    deep = QoSProfile(depth=100)
    client = ActionClient(
        robot.node,
        RecordEpisodes,
        "record_episodes",
        goal_service_qos_profile=deep,
        result_service_qos_profile=deep,
        cancel_service_qos_profile=deep,
    )
    assert client.wait_for_server(15)
    robot.known(AsyncParameterClient(robot.node, "demo_recorder"))

    def send() -> list[Any]:
        return [client.send_goal_async(RecordEpisodes.Goal(task="push", episodes=1, timeout=2.0)) for _ in range(30)]

    sent = robot.call(send)
    handles = wait_for(lambda: all(one.done() for one in sent) and [one.result() for one in sent])
    assert all(handle.accepted for handle in handles)
    results = robot.call(lambda: [handle.get_result_async() for handle in handles])
    outcomes = wait_for(lambda: all(one.done() for one in results) and [one.result().result.outcome for one in results])
    assert sorted(outcomes) == [Outcome.TIMED_OUT] + [Outcome.BUSY] * 29


def test_a_recorder_that_is_stopped_gives_its_client_the_result(robot: ToyRobot, recorder: Recorder) -> None:
    result = robot.call(robot.ask(episodes=2).get_result_async)
    robot.publish(5)
    wait_for(lambda: robot.feedback and robot.feedback[-1].recorded == 1)
    recorder.process.send_signal(signal.SIGINT)
    answer = wait_for(lambda: result.done() and result.result().result, 20)
    assert answer.outcome == Outcome.CANCELLED
    assert answer.message.startswith("the recorder was stopped; 1 of 2 episodes recorded in ")
    assert [Path(file).name for file in answer.files] == ["episode_000000.mcap"]


def test_a_second_recorder_says_so_and_ends(robot: ToyRobot, recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    with started(tmp_path / "second", tmp_path / "data") as second:
        assert second.process.wait(15) == 1
        assert "error: /record_episodes is served already, by /demo_recorder" in second.output
    handle = robot.ask()
    robot.publish(5)
    assert robot.result(handle).outcome == Outcome.SUCCEEDED


def test_two_simulations_end_the_goal_within_seconds(robot: ToyRobot, recorder: Recorder) -> None:
    other = ToyRobot()
    stop = threading.Event()
    driving = [threading.Thread(target=one.publish, args=(100_000, stop, 0.01)) for one in (robot, other)]
    try:
        robot.heard(by=1)
        other.heard(by=1)
        handle = robot.ask()
        for thread in driving:
            thread.start()
        result = robot.result(handle, timeout=10.0)
    finally:
        stop.set()
        for thread in driving:
            thread.join()
        other.close()
    assert result.outcome == Outcome.REFUSED
    # Discovery may know the second publisher before its node.
    assert re.search(
        r"2 nodes publish what one alone may: /toy, (/toy|one that has not told its name yet);", result.message
    )


@pytest.mark.parametrize("folder", ["20261127", "0010", "true"])
def test_a_folder_that_looks_like_a_number_is_text_or_refused_with_a_remedy(
    ros_domain: int, tmp_path: Path, folder: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", RECORDER, "--ros-args", "-p", f"dataset:={folder}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "parameter 'dataset'" in done.stderr
    assert "Traceback" not in done.stderr
    print(done.stderr)
    assert "quot" in done.stderr
