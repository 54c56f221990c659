"""Client of the recorder and of the simulator. Everything happens in the calling thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient

from polytask_demo_recorder.errors import RecordingError
from polytask_demo_recorder.recording.surroundings import HEARING
from polytask_demo_recorder.recording.tally import UNUSABLE
from polytask_demo_recorder.teleop.keyboard_teleop_node import KeyboardDriver
from polytask_interfaces.action import RecordEpisodes
from polytask_interfaces.msg import EpisodeStatus
from polytask_interfaces.srv import ResetEpisode
from polytask_robot_io import qos
from polytask_robot_io.outcomes import Outcome

WAIT = 15.0
"""Seconds to wait for nodes that were just started."""
HEARING_WAIT = HEARING + 5.0
"""Seconds for the recorder to hear the topics; it ends the goal itself when it does not."""
GONE = 5.0
"""Seconds for which the recorder may not be found before it is taken to have ended."""
NOTICE = 3.0
"""Seconds after an episode's end in which the recorder must have noticed it; otherwise it is done again."""
JUDGING = 60.0
"""Seconds that reading back an episode may take."""
GIVE_UP = 10
"""Failed attempts in a row, unless a person drives."""
GIVE_UP_UNUSABLE = 3
"""Episodes in a row that could not be used, whoever drives: it is not the driving."""
RECORDER = "demo_recorder"


@dataclass(frozen=True)
class Progress:
    """How far a recording is; for progress bars."""

    recorded: int
    discarded: int
    messages: int
    """In the current episode."""
    seed: int
    """Of the current episode; -1: none."""
    reason: str = ""
    """Why the last one that could not be used was discarded."""


@dataclass(frozen=True)
class Recording:
    """What came of a recording."""

    outcome: Outcome
    message: str
    files: tuple[Path, ...]

    @property
    def complete(self) -> bool:
        """All episodes were recorded."""
        return self.outcome == Outcome.SUCCEEDED


class RecordingClient:
    """The conversation with the recorder and the simulator."""

    def __init__(self, node: Node, executor: SingleThreadedExecutor, on_progress: Callable[[Progress], None]) -> None:
        self._node = node
        self._executor = executor
        executor.add_node(node)
        self._on_progress = on_progress
        self._recorder = ActionClient(node, RecordEpisodes, "record_episodes")
        self._parameters = AsyncParameterClient(node, RECORDER)
        self._reset = node.create_client(ResetEpisode, "reset_episode")
        node.create_subscription(EpisodeStatus, "episode", self._on_status, qos.EPISODE)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.DIAGNOSTICS)
        self._feedback = RecordEpisodes.Feedback()
        self._unusable: str | None = None
        self._reason = ""
        self._last_found = time.monotonic()
        self._answered = False
        self._status: Any = None
        self._seed = -1
        self._keyboard: KeyboardDriver | None = None

    def prepare(self, output: Path, driver: str) -> None:
        """Find everyone who is needed, and tell the recorder where to write."""
        name = self._node.resolve_topic_name("record_episodes")
        self._until(self._recorder.server_is_ready, WAIT, f"no recorder serves {name}; start one: ./polytask up record")
        self._until(self._parameters.services_are_ready, WAIT, f"the recorder at {name} does not answer")
        answer = self._ask(self._parameters.set_parameters([Parameter("dataset", value=str(output))]))
        if not answer.results[0].successful:
            raise RecordingError(f"the recorder refused the folder {output}: {answer.results[0].reason}")
        if driver == "scripted":
            topic = self._node.resolve_topic_name("command")
            self._until(
                lambda: self._node.count_publishers("command") > 0,
                WAIT,
                f"nobody publishes {topic}; start a driver, e.g. `./polytask up record expert:=true`",
            )

    def embodiment(self) -> str:
        """Embodiment file that the recorder uses."""
        return str(self._ask(self._parameters.get_parameters(["embodiment"])).values[0].string_value)

    def drive(self, keyboard: KeyboardDriver) -> None:
        """Drive from the keyboard meanwhile."""
        self._keyboard = keyboard

    def run(self, goal: Any, seed: int) -> Recording:
        """Send the goal and start episode after episode until it is over."""
        handle = self._ask(self._recorder.send_goal_async(goal, self._on_feedback))
        self._last_found = time.monotonic()
        result = handle.get_result_async()
        try:
            # A real robot has none; a simulator may be found, or started, at any time.
            self._while(lambda: not (self._over(result) or self._reset.service_is_ready()), None)
            if not self._over(result):
                # Feedback comes once the recorder hears the topics, so that the first episode is not lost on it.
                self._while(lambda: not (result.done() or self._answered), HEARING_WAIT)
                self._start_episodes(goal, seed, result)
            self._while(lambda: not self._over(result), None)
            if not result.done():
                self._cancel(handle, result)
        except BaseException as error:
            self._cancel(handle, result)
            if not isinstance(error, KeyboardInterrupt):
                raise
        if not result.done():
            return Recording(Outcome.CANCELLED, "interrupted; the recorder did not answer in time", ())
        answer = result.result().result
        return Recording(Outcome(answer.outcome), answer.message, tuple(Path(file) for file in answer.files))

    def _start_episodes(self, goal: Any, seed: int, result: Any) -> None:
        """A reset for each attempt, until the recorder has what it was asked for."""
        unheard = failed = unusable = 0
        while not self._over(result) and self._feedback.recorded < goal.episodes:
            recorded, before, said = self._feedback.recorded, self._decided(), self._unusable
            episode_id = self._start_episode(goal.task, seed)
            self._while(lambda episode_id=episode_id: not (self._over(result) or self._ended(episode_id)), None)  # type: ignore[misc]
            if not self._decides(before, result):
                unheard += 1
                if unheard == 3:
                    raise RecordingError(f"episodes of '{goal.task}' run, but the recorder hears none; see its log")
                continue
            seed, unheard = seed + 1, 0
            if self._feedback.recorded > recorded or self._over(result):
                failed = unusable = 0
                self._say(f"recorded, {self._feedback.recorded} of {goal.episodes}")
                continue
            failed += 1
            reason = self._why(said)
            unusable = unusable + 1 if reason else 0
            self._say("not kept" if reason else "failed, not kept")
            if unusable == GIVE_UP_UNUSABLE:
                raise RecordingError(f"{unusable} episodes in a row could not be used: {reason}")
            if failed == GIVE_UP and self._keyboard is None:
                raise RecordingError(f"{failed} attempts at '{goal.task}' failed in a row; is the driver right?")

    def _decides(self, before: int, result: Any) -> bool:
        """Whether the recorder says what becomes of the episode that has ended; it may have to read it back first."""
        until = time.monotonic() + NOTICE

        def undecided() -> bool:
            patient = time.monotonic() < until or self._feedback.messages > 0
            return patient and self._decided() == before and not self._over(result)

        self._while(undecided, JUDGING)
        return self._decided() != before or self._over(result)

    def _why(self, said: str | None) -> str:
        """Why the last episode could not be used; empty where it merely failed. ``said``: what was told before it."""
        if self._status is None or self._status.termination_reason != EpisodeStatus.SUCCEEDED:
            return ""
        self._while(lambda: self._unusable == said, NOTICE)
        return self._reason

    def _start_episode(self, task: str, seed: int) -> str:
        answer = self._ask(self._reset.call_async(ResetEpisode.Request(task=task, seed=seed)))
        if not answer.ok:
            raise RecordingError(f"the simulator refused to start an episode: {answer.message}")
        self._seed = seed
        self._say(f"episode from start {seed}: drive")
        return str(answer.status.episode_id)

    def _say(self, text: str) -> None:
        """To a person who drives."""
        if self._keyboard is not None:
            print(text, flush=True)

    def _decided(self) -> int:
        """Episodes of which the recorder has said what became of them."""
        return int(self._feedback.recorded + self._feedback.discarded)

    def _over(self, result: Any) -> bool:
        """Whether nothing more is to be done. Raises RecordingError when the recorder has ended."""
        now = time.monotonic()
        if self._recorder.server_is_ready() or result.done():
            self._last_found = now
        elif now - self._last_found > GONE:
            raise RecordingError("the recorder has ended; see its log. What was complete is in the folder")
        return bool(result.done() or self._quit())

    def _ended(self, episode_id: str) -> bool:
        return self._status is not None and self._status.episode_id == episode_id and self._status.ended

    def _quit(self) -> bool:
        return self._keyboard is not None and self._keyboard.keyboard.quit

    def _cancel(self, handle: Any, result: Any) -> None:
        if self._keyboard is not None:
            self._keyboard.stop()
        handle.cancel_goal_async()
        self._while(lambda: not result.done(), 5.0)

    def _on_status(self, status: EpisodeStatus) -> None:
        self._status = status

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        recorder = self._node.resolve_service_name(RECORDER)
        for status in array.status:
            if status.name == recorder:
                values = {entry.key: entry.value for entry in status.values}
                count = values.get(UNUSABLE, "0")
                if self._unusable not in (None, count):  # what it says first may be of an earlier goal
                    self._reason = values.get(f"{UNUSABLE} last reason", "")
                self._unusable = count

    def _on_feedback(self, message: Any) -> None:
        self._feedback = message.feedback
        self._answered = True

    def _tell(self) -> None:
        now = self._feedback
        self._on_progress(Progress(now.recorded, now.discarded, now.messages, self._seed, self._reason))

    def _while(self, condition: Callable[[], bool], timeout: float | None) -> bool:
        """Serve callbacks while a condition holds; false when it still held after ``timeout`` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        told = 0.0
        while condition():
            now = time.monotonic()
            if until is not None and now > until:
                return False
            if now - told > 0.1:
                told = now
                self._tell()
            self._executor.spin_once(timeout_sec=0.05)
        return True

    def _until(self, condition: Callable[[], bool], timeout: float, otherwise: str) -> None:
        if not self._while(lambda: not condition(), timeout):
            raise RecordingError(otherwise)

    def _ask(self, future: Any) -> Any:
        """Answer to a request. Raises RecordingError when none comes."""
        if not self._while(lambda: not future.done(), WAIT):
            raise RecordingError("a node stopped answering; see its log")
        return future.result()
