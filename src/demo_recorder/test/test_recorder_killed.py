"""A recorder of one's own: ended in mid-episode, or without cameras."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from recorder_process import ToyRobot, started, wait_for
from toy_episodes import PERIOD, TYPES

from polytask_demo_recorder.dataset.folder import episode_files
from polytask_demo_recorder.dataset.reader import read_dataset, read_episode
from polytask_interfaces.msg import Outcome


@contextmanager
def toy_robot() -> Iterator[ToyRobot]:
    robot = ToyRobot()
    try:
        yield robot
    finally:
        robot.close()


def test_sigkill_in_mid_episode_costs_half_a_second_at_most(tmp_path: Path) -> None:
    dataset = tmp_path / "data"
    with toy_robot() as robot, started(tmp_path, dataset) as recorder:
        robot.heard()
        handle = robot.ask()
        robot.publish(20)
        assert robot.result(handle).outcome == Outcome.SUCCEEDED
        robot.ask()
        stop = threading.Event()
        # Every 50 ms of toy time passes in 5 ms.
        driving = threading.Thread(target=robot.publish, args=(100_000, stop, 0.005))
        driving.start()
        wait_for(lambda: robot.feedback and robot.feedback[-1].messages > 600)
        last = robot.published
        recorder.kill()
        stop.set()
        driving.join()
    assert [path.name for path in episode_files(dataset)] == ["episode_000000.mcap"]
    assert len(read_dataset(dataset)) == 1
    # Another robot node: the first still takes the killed recorder for a living one.
    with toy_robot() as robot, started(tmp_path, dataset) as recorder:
        recorder.says("interrupted")
        wait_for(lambda: episode_files(dataset, recovered=True))
        # It goes on with the next number.
        robot.heard()
        handle = robot.ask()
        robot.publish(10)
        result = robot.result(handle)
    assert [Path(file).name for file in result.files] == ["episode_000002.mcap"]
    (recovered,) = episode_files(dataset, recovered=True)
    assert recovered.name == "episode_000001.recovered.mcap"
    episode = read_episode(recovered, cameras=True)
    assert episode.outcome == "aborted"
    period = 0.005  # s, at least: the publisher needs time of its own
    lost = (last - int(episode.stamps[-1])) / PERIOD * period
    assert lost < 0.5
    assert len(episode.gaps) == 0
    assert [one.path.name for one in read_dataset(dataset)] == ["episode_000000.mcap", "episode_000002.mcap"]


@pytest.mark.timed
def test_sigterm_in_mid_episode_leaves_no_half_file(tmp_path: Path) -> None:
    with toy_robot() as robot, started(tmp_path, tmp_path / "data") as recorder:
        robot.heard()
        robot.ask()
        stop = threading.Event()
        driving = threading.Thread(target=robot.publish, args=(100_000, stop, 0.01))
        driving.start()
        wait_for(lambda: robot.feedback and robot.feedback[-1].messages > 10)
        recorder.process.send_signal(signal.SIGTERM)
        assert recorder.process.wait(5) == 0
        stop.set()
        driving.join()
    assert list((tmp_path / "data" / "push").iterdir()) == []


def test_nothing_is_lost_in_silence_at_several_hundred_steps_per_second(tmp_path: Path) -> None:
    with toy_robot() as robot, started(tmp_path, tmp_path / "data", cameras=False):
        robot.heard([topic for topic in TYPES if "camera" not in topic])
        handle = robot.ask()
        robot.publish(1000, pause=0.001, cameras=False)
        result = robot.result(handle)
    episode = read_episode(result.files[0])
    # On a loaded machine the publisher's own queue may overflow; what is lost is counted, and not much.
    assert len(episode.state) + episode.missing.get("state", 0) == 1001
    assert episode.missing.get("state", 0) < 100
