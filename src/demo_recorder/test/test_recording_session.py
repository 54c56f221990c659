"""From the stream of messages to episodes: boundaries, drops, ends. Without nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rclpy.serialization import serialize_message
from toy_episodes import PERIOD, START, TYPES, episode_messages, toy

from polytask_demo_recorder.dataset import read_dataset, read_episode
from polytask_demo_recorder.request import CANCELLED, REFUSED, SUCCEEDED, TIMED_OUT, Request
from polytask_demo_recorder.session import JUDGE_WAIT, Session
from polytask_demo_recorder.take import GRACE, Heard
from polytask_demo_recorder.writer import EpisodeWriter
from polytask_interfaces.msg import EpisodeStatus
from polytask_robot_io.stamps import to_ns

EPISODE_NS = 100 * PERIOD


class Bench:
    """A session, its writer, and a clock of one's own."""

    def __init__(self, dataset: Path, judged: bool = True, **changes: Any) -> None:
        entries: dict[str, Any] = {
            "dataset": dataset,
            "task": "push",
            "instructions": ("Push it.",),
            "episodes": 1,
            "keep_failures": False,
            "timeout": 10.0,
        }
        self.now = 0.0
        self.writer = EpisodeWriter()
        topics = {name[1:]: (name, type_name) for name, type_name in TYPES.items()}
        self.session = Session(Request(**(entries | changes)), toy(), topics, self.writer, lambda: judged, self.now)

    def feed(self, messages: list[tuple[str, int, Any]]) -> None:
        for topic, stamp_ns, message in messages:
            heard = Heard(topic[1:], stamp_ns, stamp_ns, stamp_ns, serialize_message(message))
            if topic == "/episode":
                self.session.hear_status(heard, message, self.now)
            elif topic == "/command":
                self.session.hear_command(heard, to_ns(message.observation_stamp), self.now)
            else:
                self.session.hear(heard, self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.session.check(self.now)

    def finish(self) -> Session:
        """Let the writer end, and give the session."""
        self.writer.stop()
        for event in self.writer.events():
            self.session.handle(event)
        return self.session


def episode(
    number: int = 0, steps: int = 6, why: int = EpisodeStatus.SUCCEEDED, task: str = "push", first: int = 0
) -> list[tuple[str, int, Any]]:
    """An episode later in time, with another id and end."""
    found = []
    for topic, ns, message in episode_messages(steps):
        ns += number * EPISODE_NS
        message.header.stamp.sec, message.header.stamp.nanosec = ns // 10**9, ns % 10**9
        if topic == "/command":
            answered = to_ns(message.observation_stamp) + number * EPISODE_NS
            message.observation_stamp.sec, message.observation_stamp.nanosec = answered // 10**9, answered % 10**9
        if topic == "/episode":
            message.episode_id, message.task, message.seed = f"toy/{task}/{number}", task, number
            if message.step < first:
                continue
            if message.ended:
                message.why, message.success = why, why == EpisodeStatus.SUCCEEDED
        found.append((topic, ns, message))
    return found


def test_episodes_one_after_another(tmp_path: Path) -> None:
    bench = Bench(tmp_path, episodes=2)
    bench.feed(episode(0) + episode(1) + episode(2))
    session = bench.finish()
    assert session.end is not None
    assert session.end.outcome == SUCCEEDED
    assert [path.name for path in session.files] == ["episode_000000.mcap", "episode_000001.mcap"]
    episodes = read_dataset(tmp_path, cameras=True)
    assert [one.seed for one in episodes] == [0, 1]
    assert all(len(one.state) == 7 and not one.missing for one in episodes)
    assert episodes[0].instructions == ("Push it.",)


def order(*topics: str) -> Callable[[tuple[str, int, Any]], tuple[int, int]]:
    """Sort key: by step, and within one step by topic."""
    return lambda entry: (entry[1] // PERIOD, topics.index(entry[0]) if entry[0] in topics else len(topics))


@pytest.mark.parametrize(
    "topics", [("/episode", "/state"), ("/camera/image_raw", "/state", "/episode"), ("/state", "/camera/image_raw")]
)
def test_order_of_arrival_within_a_step_does_not_matter(tmp_path: Path, topics: tuple[str, ...]) -> None:
    bench = Bench(tmp_path, episodes=2)
    bench.feed(sorted(episode(0), key=order(*topics)) + sorted(episode(1), key=order(*topics)))
    bench.wait(GRACE + 0.1)
    bench.finish()
    assert [len(one.state) for one in read_dataset(tmp_path, cameras=True)] == [7, 7]


def test_failures_are_discarded_unless_wanted(tmp_path: Path) -> None:
    attempts = episode(0, why=EpisodeStatus.TIME_LIMIT) + episode(1, why=EpisodeStatus.FAULT) + episode(2)
    bench = Bench(tmp_path / "one")
    bench.feed(attempts)
    session = bench.finish()
    assert session.discarded == 2
    assert session.end is not None
    assert "2 failed" in session.end.message
    assert read_dataset(tmp_path / "one")[0].seed == 2
    bench = Bench(tmp_path / "two", keep_failures=True, episodes=3)
    bench.feed(attempts)
    assert len(bench.finish().files) == 3
    outcomes = [one.outcome for one in read_dataset(tmp_path / "two", failures=True)]
    assert outcomes == ["time_limit", "fault", "success"]


def test_reset_in_mid_episode_is_no_attempt(tmp_path: Path) -> None:
    bench = Bench(tmp_path, keep_failures=True)
    bench.feed([entry for entry in episode(0) if entry[1] < START + 4 * PERIOD])
    bench.feed(episode(1))
    session = bench.finish()
    assert (session.discarded, len(session.files)) == (0, 1)
    assert read_episode(session.files[0]).seed == 1


def test_beginning_missed_or_other_task_is_not_recorded(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed(episode(0, first=2) + episode(1, task="pull"))
    bench.wait(1.0)
    assert bench.session.messages == 0
    bench.feed(episode(2))
    session = bench.finish()
    assert len(session.files) == 1
    assert read_episode(session.files[0]).seed == 2


def test_empty_task_takes_the_first_one_seen(tmp_path: Path) -> None:
    bench = Bench(tmp_path, task="", instructions=())
    bench.session.sentences = {"pull": ("Pull it.",)}
    bench.feed(episode(0, task="pull"))
    (path,) = bench.finish().files
    assert path.parent.name == "pull"
    assert read_episode(path).instructions == ("Pull it.",)


@pytest.mark.parametrize(("lost", "count"), [("/state", 2), ("/camera/image_raw", 2), ("/episode", 2), ("/command", 2)])
def test_lost_messages_are_counted_and_reported(tmp_path: Path, lost: str, count: int) -> None:
    gone = {START + 2 * PERIOD, START + 3 * PERIOD}
    bench = Bench(tmp_path)
    bench.feed([(topic, ns, m) for topic, ns, m in episode() if not (topic == lost and ns - ns % PERIOD in gone)])
    session = bench.finish()
    assert read_episode(session.files[0]).missing == {lost[1:]: count}
    assert session.end is not None
    assert f"missing: episode_000000.mcap: {lost[1:]} {count}" in session.end.message


def test_a_camera_that_is_off_is_neither_missed_nor_waited_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed([entry for entry in episode() if not entry[0].startswith("/camera")])
    assert read_episode(bench.finish().files[0]).missing == {}


def test_last_picture_is_waited_for_but_not_for_ever(tmp_path: Path) -> None:
    end = START + 6 * PERIOD
    late = [entry for entry in episode() if entry[0].startswith("/camera") and entry[1] == end]
    bench = Bench(tmp_path / "one")
    bench.feed([entry for entry in episode() if entry not in late and not (entry[1] == end and "camera" in entry[0])])
    bench.wait(0.3)
    bench.feed(late)
    assert len(read_episode(bench.finish().files[0], cameras=True).state) == 7
    bench = Bench(tmp_path / "two")
    bench.feed([entry for entry in episode() if not (entry[1] == end and "camera" in entry[0])])
    bench.wait(GRACE + 0.1)
    assert read_episode(bench.finish().files[0]).missing == {"camera/image_raw": 1}


def test_cancel_keeps_what_is_complete(tmp_path: Path) -> None:
    bench = Bench(tmp_path, episodes=3)
    bench.feed(episode(0) + episode(1)[:10])
    bench.session.cancel(bench.now)
    session = bench.finish()
    assert session.end is not None
    assert session.end.outcome == CANCELLED
    assert "1 of 3 episodes recorded" in session.end.message
    assert [path.name for path in (tmp_path / "push").iterdir()] == ["episode_000000.mcap"]


def test_nothing_comes(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.wait(10.1)
    session = bench.finish()
    assert session.end is not None
    assert session.end.outcome == TIMED_OUT
    assert "no message on /state within 10 s" in session.end.message


def test_episode_that_does_not_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed(episode(0)[:20])
    bench.wait(10.1)
    session = bench.finish()
    assert session.end is not None
    assert session.end.outcome == TIMED_OUT
    assert "did not end within 10 s" in session.end.message
    assert list((tmp_path / "push").iterdir()) == []


def test_other_tasks_are_named_when_time_is_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed(episode(0, task="pull"))
    bench.wait(10.1)
    session = bench.finish()
    assert session.end is not None
    assert "only episodes of pull, none of 'push'" in session.end.message


def silent(number: int) -> list[tuple[str, int, Any]]:
    """What a real robot publishes: no status."""
    return [entry for entry in episode(number) if entry[0] != "/episode"]


def test_robot_without_status_ends_by_time_or_cancel(tmp_path: Path) -> None:
    bench = Bench(tmp_path, judged=False, episodes=3)
    bench.wait(JUDGE_WAIT + 0.1)
    bench.feed(silent(0))
    bench.wait(10.1)
    bench.feed(silent(1))
    bench.session.cancel(bench.now)
    session = bench.finish()
    assert session.end is not None
    assert session.end.outcome == CANCELLED
    episodes = read_dataset(tmp_path, cameras=True)
    assert [one.outcome for one in episodes] == ["unjudged", "unjudged"]
    assert [len(one.action) for one in episodes] == [6, 6]


def test_robot_without_status_gaps_are_counted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, judged=False)
    bench.wait(JUDGE_WAIT + 0.1)
    bench.feed([e for e in silent(0) if e[0] != "/state" or e[1] not in (START + 2 * PERIOD, START + 3 * PERIOD)])
    bench.session.cancel(bench.now)
    assert read_episode(bench.finish().files[0]).missing == {"state": 2}


def test_robot_without_status_needs_a_task(tmp_path: Path) -> None:
    bench = Bench(tmp_path, judged=False, task="")
    bench.wait(JUDGE_WAIT + 0.1)
    session = bench.finish()
    assert session.end is not None
    assert session.end.outcome == REFUSED
    assert "name the task" in session.end.message
