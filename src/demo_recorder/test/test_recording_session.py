"""From the stream of messages to episodes: boundaries, drops, ends. Without nodes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rclpy.serialization import serialize_message
from toy_episodes import PERIOD, START, TYPES, episode_messages, toy

from polytask_demo_recorder.dataset.reader import read_dataset, read_episode
from polytask_demo_recorder.recording.episode_recording import GRACE, ReceivedMessage
from polytask_demo_recorder.recording.request import Request
from polytask_demo_recorder.recording.session import JUDGE_WAIT, Session
from polytask_demo_recorder.recording.surroundings import HEARING
from polytask_demo_recorder.recording.writer import EpisodeWriter
from polytask_interfaces.msg import EpisodeStatus
from polytask_robot_io.outcomes import Outcome
from polytask_robot_io.stamps import to_ns

EPISODE_NS = 100 * PERIOD


class Bench:
    """A session, its writer, and a clock of one's own."""

    def __init__(
        self,
        dataset: Path,
        judged: bool = True,
        cameras: bool = True,
        unheard: Callable[[], list[str]] = list,
        rivals: Callable[[], list[str]] = list,
        **changes: Any,
    ) -> None:
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
        topics = {name[1:]: (name, kind) for name, kind in TYPES.items() if cameras or "camera" not in name}
        request = Request(**(entries | changes))
        self.session = Session(request, toy(), topics, self.writer, lambda: judged, self.now, unheard, rivals)

    def feed(self, messages: list[tuple[str, int, Any]], publisher: bytes = b"") -> None:
        for topic, stamp_ns, message in messages:
            heard = ReceivedMessage(topic[1:], stamp_ns, stamp_ns, stamp_ns, serialize_message(message))
            if topic == "/episode":
                self.session.hear_status(heard, message, self.now, publisher)
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
    number: int = 0, steps: int = 6, reason: int = EpisodeStatus.SUCCEEDED, task: str = "push", first: int = 0
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
                message.termination_reason = reason
                message.success = reason == EpisodeStatus.SUCCEEDED
        found.append((topic, ns, message))
    return found


def test_episodes_one_after_another(tmp_path: Path) -> None:
    bench = Bench(tmp_path, episodes=2)
    bench.feed(episode(0) + episode(1) + episode(2))
    session = bench.finish()
    assert session.end is not None
    assert session.end.outcome == Outcome.SUCCEEDED
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
    attempts = episode(0, reason=EpisodeStatus.TIME_LIMIT) + episode(1, reason=EpisodeStatus.FAULT) + episode(2)
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
    messages = episode(steps=30)
    bench.feed([(topic, ns, m) for topic, ns, m in messages if not (topic == lost and ns - ns % PERIOD in gone)])
    session = bench.finish()
    assert read_episode(session.files[0]).missing == {lost[1:]: count}
    assert session.end is not None
    assert f"missing: episode_000000.mcap: {lost[1:]} {count}" in session.end.message


def test_a_camera_that_is_off_is_neither_missed_nor_waited_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, cameras=False)
    bench.feed([entry for entry in episode() if not entry[0].startswith("/camera")])
    assert read_episode(bench.finish().files[0]).missing == {}


@pytest.mark.parametrize(
    ("silent", "reason"),
    [
        ("/camera/image_raw", "no picture on camera/image_raw"),
        ("/command", "nobody published 'command'"),
        ("/state", "0 observations"),
    ],
)
@pytest.mark.parametrize("keep_failures", [False, True])
def test_an_episode_that_lacks_a_topic_is_never_a_success(
    tmp_path: Path, silent: str, reason: str, keep_failures: bool
) -> None:
    bench = Bench(tmp_path, keep_failures=keep_failures)
    bench.feed([entry for entry in episode(0) if entry[0] != silent])
    bench.wait(GRACE + 0.1)
    wait_for(bench)
    assert bench.session.end is None  # it is not what was asked for
    assert (bench.session.discarded, bench.session.files) == (1, [])
    assert bench.session.reason.startswith(reason)
    bench.feed(episode(1))
    session = bench.finish()
    assert session.end is not None
    assert session.end.outcome == Outcome.SUCCEEDED
    assert f"1 could not be used and were discarded, the last because: {reason}" in session.end.message
    assert [path.name for path in (tmp_path / "push").iterdir()] == ["episode_000000.mcap"]


def wait_for(bench: Bench) -> None:
    """Let the writer judge the episode that was just closed, and tell the session."""
    end = time.monotonic() + 10
    while not (events := bench.writer.events()):
        assert time.monotonic() < end
        time.sleep(0.002)
    for event in events:
        bench.session.handle(event)


def test_what_was_not_even_written_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    half = episode()
    bench.feed(half[:10])
    bench.session.refuse("state", "4 bytes are too few for a message with a header")
    bench.session.refuse("state", "5 bytes are too few for a message with a header")
    bench.feed(half[10:])
    session = bench.finish()
    assert session.end is not None
    words = "remarks: episode_000000.mcap: state: 2 dropped (5 bytes are too few for a message with a header)"
    assert words in session.end.message


def test_topics_that_stay_unheard_end_the_goal_with_their_names(tmp_path: Path) -> None:
    missing = ["/camera/image_raw"]
    bench = Bench(tmp_path, timeout=100.0, unheard=lambda: missing)
    bench.wait(HEARING - 0.1)
    assert (bench.session.end, bench.session.ready) == (None, False)
    bench.wait(0.2)
    assert bench.session.end is not None
    assert bench.session.end.outcome == Outcome.TIMED_OUT
    assert "nobody to be heard on /camera/image_raw within 15 s" in bench.session.end.message
    assert "cameras:=false" in bench.session.end.message
    bench = Bench(tmp_path, timeout=100.0, unheard=lambda: missing)
    bench.wait(1.0)
    missing.clear()
    bench.wait(1.0)
    assert bench.session.ready
    bench.wait(HEARING)
    assert bench.session.end is None


def test_two_simulations_are_named_within_the_first_statuses(tmp_path: Path) -> None:
    nodes: list[str] = []
    bench = Bench(tmp_path, rivals=lambda: nodes)
    one = [entry for entry in episode(0, task="pull")]
    two = [entry for entry in episode(1)]
    bench.feed(one[:6] + two[:6])
    nodes += ["/sim_bridge", "/sim_bridge"]
    bench.wait(1.0)
    assert bench.session.end is None  # the first was merely over
    bench.feed(one[6:12])
    bench.wait(0.1)
    session = bench.finish()
    assert session.end is not None
    assert session.end.outcome == Outcome.REFUSED
    assert "2 nodes publish what one alone may: /sim_bridge, /sim_bridge; end the one" in session.end.message


def test_two_simulations_in_step_are_told_by_their_publishers(tmp_path: Path) -> None:
    """Same episode, same steps: nothing that they say gives them away."""
    bench = Bench(tmp_path, rivals=lambda: ["/sim_bridge", "/sim_bridge"])
    bench.feed(episode(0)[:6], publisher=b"killed")
    bench.feed(episode(1)[:6], publisher=b"its successor")
    bench.wait(0.1)
    assert bench.session.end is None
    for message in episode(1)[6:18]:
        bench.feed([message], publisher=b"its successor")
        bench.feed([message], publisher=b"a second one")
    bench.wait(0.1)
    session = bench.finish()
    assert session.end is not None
    assert session.end.outcome == Outcome.REFUSED
    assert "2 nodes publish what one alone may" in session.end.message


def test_commands_without_stamps_belong_by_arrival(tmp_path: Path) -> None:
    """A person's clock may be an hour behind: the commands' own stamps do not bar them from the episode."""
    messages = []
    for topic, ns, message in episode():
        if topic == "/command":
            message.observation_stamp.sec = message.observation_stamp.nanosec = 0
            message.header.stamp.sec = max(0, message.header.stamp.sec - 3600)
        messages.append((topic, ns, message))
    bench = Bench(tmp_path)
    bench.feed(messages)
    episode_read = read_episode(bench.finish().files[0])
    assert [float(one) for one in episode_read.action[:, 1]] == [-1.0, 1.0, -1.0, 1.0, -1.0, 1.0]


def test_a_clock_that_is_set_back_is_told_before_the_next_episode(tmp_path: Path) -> None:
    bench = Bench(tmp_path, judged=False)
    bench.wait(JUDGE_WAIT + 0.1)
    bench.feed([(topic, to_ns(message.header.stamp), message) for topic, _, message in set_back(silent(0))])
    bench.wait(10.1)
    wait_for(bench)
    assert bench.session.reason.startswith("the state's stamps go back by 0.40 s")


def set_back(messages: list[tuple[str, int, Any]]) -> list[tuple[str, int, Any]]:
    """From step 5 on, state and camera are stamped 0.45 s earlier: before the episode's first state."""
    for topic, ns, message in messages:
        if ns >= START + 5 * PERIOD and topic != "/command":
            earlier = ns - 9 * PERIOD
            message.header.stamp.sec, message.header.stamp.nanosec = earlier // 10**9, earlier % 10**9
    return messages


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
    assert session.end.outcome == Outcome.CANCELLED
    assert "1 of 3 episodes recorded" in session.end.message
    assert [path.name for path in (tmp_path / "push").iterdir()] == ["episode_000000.mcap"]


def test_nothing_comes(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.wait(10.1)
    session = bench.finish()
    assert session.end is not None
    assert session.end.outcome == Outcome.TIMED_OUT
    assert "no message on /state within 10 s" in session.end.message


def test_episode_that_does_not_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed(episode(0)[:20])
    bench.wait(10.1)
    session = bench.finish()
    assert session.end is not None
    assert session.end.outcome == Outcome.TIMED_OUT
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
    assert session.end.outcome == Outcome.CANCELLED
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
    assert session.end.outcome == Outcome.REFUSED
    assert "name the task" in session.end.message
