"""The recorder as a process, with real topics."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from recorder_process import Recorder, ToyRobot, started, wait_for
from toy_episodes import toy, toy_action, toy_picture, toy_state

from polytask_demo_recorder.dataset.episode_info import RECORD
from polytask_demo_recorder.dataset.reader import read_episode
from polytask_demo_recorder.dataset.records import RawMessage, read_records
from polytask_demo_recorder.errors import RecordingError
from polytask_demo_recorder.teleop.client import record
from polytask_interfaces.msg import Outcome
from polytask_robot_io.observation import Observation, ObservationAssembler
from polytask_robot_io.subscriptions import subscribe_observations


@pytest.fixture(scope="module")
def ros_domain(module_ros_domain: int) -> int:
    return module_ros_domain


@pytest.fixture
def robot(ros_domain: int) -> Iterator[ToyRobot]:
    toy_robot = ToyRobot()
    yield toy_robot
    toy_robot.close()


@pytest.fixture(scope="module")
def running(ros_domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    """One process for the tests of this module that leave it alive."""
    folder = tmp_path_factory.mktemp("recorder")
    with started(folder, folder / "data") as one:
        yield one


@pytest.fixture
def recorder(running: Recorder, robot: ToyRobot, tmp_path: Path) -> Recorder:
    """That process, writing into this test's folder and hearing its robot."""
    robot.record_into(tmp_path / "data")
    robot.heard()
    return running


def test_live_and_recorded_arrays_agree(robot: ToyRobot, recorder: Recorder) -> None:
    live: list[Observation] = []
    assembler = ObservationAssembler(toy(), cameras=True)

    def keep() -> None:
        newest = assembler.newest()
        if newest is not None and (not live or newest is not live[-1]):
            live.append(newest)

    subscribe_observations(robot.node, assembler, keep, pytest.fail)
    robot.heard(["/state", "/camera/image_raw"], by=2)
    handle = robot.ask(instructions=["Push it."])
    robot.after_step = lambda step: wait_for(lambda: len(live) > step)  # no node may be too late for a picture
    stamps = robot.publish(40)
    result = robot.result(handle)
    assert result.outcome == Outcome.SUCCEEDED, result.message
    episode = read_episode(result.files[0], cameras=True)
    assert episode.stamps.tolist() == stamps
    assert episode.missing == {}
    wait_for(lambda: len(live) == 41)
    np.testing.assert_array_equal(episode.stamps, [one.stamp_ns for one in live])
    np.testing.assert_array_equal(episode.state, [one.state for one in live])
    np.testing.assert_array_equal(episode.images["camera"], [one.images["camera"] for one in live])
    np.testing.assert_array_equal(episode.state, [toy_state(step) for step in range(41)])
    np.testing.assert_array_equal(episode.images["camera"], [toy_picture(step) for step in range(41)])
    np.testing.assert_array_equal(episode.action, [toy_action(step) for step in range(40)])
    assert episode.instructions == ("Push it.",)
    assert robot.feedback


def test_goals_that_cannot_be_met_are_refused_with_the_reason(robot: ToyRobot, recorder: Recorder) -> None:
    for goal, reason in (
        ({"episodes": 0}, "episodes is 0"),
        ({"task": "../elsewhere"}, "cannot name a folder"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": -1.0}, "timeout"),
    ):
        result = robot.result(robot.ask(**goal))
        assert result.outcome == Outcome.REFUSED
        assert reason in result.message
    first = robot.ask()
    second = robot.result(robot.ask())
    assert second.outcome == Outcome.BUSY
    assert "another recording is running" in second.message
    robot.publish(5)
    assert robot.result(first).outcome == Outcome.SUCCEEDED


def test_cancel_and_timeout(robot: ToyRobot, recorder: Recorder, tmp_path: Path) -> None:
    handle = robot.ask(episodes=2)
    robot.publish(5)
    wait_for(lambda: robot.feedback and robot.feedback[-1].recorded == 1)
    stop = threading.Event()
    driving = threading.Thread(target=robot.publish, args=(10_000, stop, 0.01))
    driving.start()
    wait_for(lambda: robot.feedback and robot.feedback[-1].messages > 10)
    handle.cancel_goal_async()
    result = robot.result(handle)
    stop.set()
    driving.join()
    assert result.outcome == Outcome.CANCELLED
    assert [Path(file).name for file in result.files] == ["episode_000000.mcap"]
    assert [path.name for path in (tmp_path / "data" / "push").iterdir()] == ["episode_000000.mcap"]
    result = robot.result(robot.ask(timeout=0.3))
    assert result.outcome == Outcome.TIMED_OUT
    assert "within 0.3 s" in result.message


def test_unusable_folder_is_an_error_and_the_node_goes_on(robot: ToyRobot, recorder: Recorder, tmp_path: Path) -> None:
    handle = robot.ask()
    wait_for(lambda: robot.feedback)  # the folder was looked at
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "push").touch()
    robot.publish(5)
    result = robot.result(handle)
    assert result.outcome == Outcome.INTERNAL_ERROR
    assert f"cannot write {tmp_path}/data/push: " in result.message
    result = robot.result(robot.ask())
    assert result.outcome == Outcome.REFUSED
    assert f"cannot write into {tmp_path}/data/push: Not a directory" in result.message
    (tmp_path / "data" / "push").unlink()
    handle = robot.ask()
    robot.publish(5)
    assert robot.result(handle).outcome == Outcome.SUCCEEDED


def test_client_resets_for_each_episode(robot: ToyRobot, recorder: Recorder, tmp_path: Path) -> None:
    seeds = robot.serve_resets(steps=8)
    told = []
    recording = record("push", 2, tmp_path / "elsewhere", seed=3, driver="scripted", on_progress=told.append)
    assert recording.complete, recording.message
    assert [path.parent for path in recording.files] == [tmp_path / "elsewhere" / "push"] * 2
    assert seeds == [3, 4]
    assert told
    with pytest.raises(RecordingError, match="no task 'pull'"):
        record("pull", 1, tmp_path / "elsewhere", driver="scripted")


def test_client_says_who_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polytask_demo_recorder.teleop.recording_client.WAIT", 0.5)
    with pytest.raises(RecordingError, match=r"no recorder serves /two/record_episodes.*polytask up record"):
        record("push", 1, tmp_path, namespace="two")


def test_topics_and_types_in_the_file(robot: ToyRobot, recorder: Recorder) -> None:
    handle = robot.ask()
    robot.publish(5)
    records = list(read_records(Path(robot.result(handle).files[0])))
    counts: dict[str, int] = {}
    for one in records:
        if isinstance(one, RawMessage):
            counts[one.topic] = counts.get(one.topic, 0) + 1
    assert counts == {
        "/state": 6,
        "/episode": 6,
        "/joint_states": 6,
        "/camera/image_raw": 6,
        "/camera/camera_info": 6,
        "/command": 5,
    }
    assert sum(not isinstance(one, RawMessage) and one.name == RECORD for one in records) == 1


def test_client_is_not_misled_by_an_episode_that_ran_before_its_own(
    robot: ToyRobot, recorder: Recorder, tmp_path: Path
) -> None:
    stop = threading.Event()
    # Goes on until the client's own reset, as that of a simulator that was just started.
    before = threading.Thread(target=robot.publish, args=(100_000, stop, 0.01))

    def end_it() -> None:
        stop.set()
        before.join()

    seeds = robot.serve_resets(steps=8, first=end_it)

    def begin_it(progress: object) -> None:
        with contextlib.suppress(RuntimeError):  # it was begun
            before.start()

    recording = record("push", 1, tmp_path / "data", seed=3, on_progress=begin_it)
    assert recording.complete, recording.message
    assert seeds == [3]
