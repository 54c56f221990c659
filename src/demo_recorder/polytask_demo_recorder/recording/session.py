"""One goal of the recorder, without ROS: from the stream of messages to episodes on the disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from polytask_demo_recorder.dataset.episode_info import ABORTED, FAULT, SUCCESS, TIME_LIMIT, UNJUDGED, EpisodeInfo
from polytask_demo_recorder.dataset.folder import task_folder
from polytask_demo_recorder.recording.episode_recording import EpisodeRecording, ReceivedMessage
from polytask_demo_recorder.recording.request import Request
from polytask_demo_recorder.recording.surroundings import Surroundings
from polytask_demo_recorder.recording.tally import Tally
from polytask_demo_recorder.recording.writer import Discarded, EpisodeWriter, Event, Failed, Kept
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.outcomes import End, Outcome, TerminationReason
from polytask_robot_io.text import printable

OUTCOME_OF_REASON = {
    TerminationReason.SUCCEEDED: SUCCESS,
    TerminationReason.TIME_LIMIT: TIME_LIMIT,
    TerminationReason.ABORTED: ABORTED,
    TerminationReason.FAULT: FAULT,
}
"""EpisodeStatus.termination_reason in words."""
JUDGE_WAIT = 1.0
"""Seconds without any publisher of ``episode`` after which the robot is taken for one that reports no success."""
OTHERS = 10
"""Names of other tasks that are kept to be told at the end."""
EARLY = 64
"""Messages kept between episodes: an episode's first ones may arrive before the status that announces it."""


class Session:
    """Cuts the stream into episodes and tells the writer. Times called ``now`` are s of a steady clock."""

    def __init__(
        self,
        request: Request,
        embodiment: Embodiment,
        topics: Mapping[str, tuple[str, str]],
        writer: EpisodeWriter,
        has_judge: Callable[[], bool],
        now: float,
        unheard: Callable[[], list[str]] = list,
        rivals: Callable[[], list[str]] = list,
    ) -> None:
        """Begin.

        Args:
            request: what is asked for.
            embodiment: of the robot.
            topics: (name in the file, type) by relative topic; cameras are recorded if they are among them.
            writer: what writes.
            has_judge: whether anybody publishes a status.
            now: s of a steady clock.
            unheard: see :class:`Surroundings`.
            rivals: likewise.
        """
        self._request = request
        self._embodiment = embodiment
        self._topics = topics
        self._writer = writer
        self._has_judge = has_judge
        self._began = self._waiting_since = now
        self._task = request.task
        self.sentences: Mapping[str, tuple[str, ...]] = {}
        """Instructions by task, of the suite; used where the goal gives none."""
        self._judged: bool | None = None
        self._early: deque[ReceivedMessage] = deque(maxlen=EARLY)
        self._take: EpisodeRecording | None = None
        self._decided = 0
        self._closing = self._closing_messages = 0
        self._last_id = ""
        self._state_topics = {entry.topic for entry in embodiment.state}
        self._seen_state = False
        self._surroundings = Surroundings(unheard, rivals)
        self._cameras = any(camera.topic in topics for camera in embodiment.cameras)
        self._other_tasks: list[str] = []
        self._refused: dict[str, tuple[int, str]] = {}
        self._tally = Tally()
        self._final: End | None = None
        self.reason = ""
        """Why the last attempt could not be used; empty where it merely failed, or was kept."""
        self.end: End | None = None
        """Set when the goal is over and the disk has it all."""

    @property
    def task(self) -> str:
        """What is shown; empty while that is not known."""
        return self._task

    @property
    def files(self) -> list[Path]:
        """What was recorded."""
        return self._tally.files

    @property
    def discarded(self) -> int:
        """Attempts that failed or could not be used, and were thrown away; what was broken off is not among them."""
        return self._tally.failed + self._tally.unusable

    @property
    def ready(self) -> bool:
        """Whether everything is heard without which no episode can be recorded."""
        return self._surroundings.ready

    @property
    def messages(self) -> int:
        """Messages in the current episode, until it is decided what becomes of it."""
        return self._take.messages if self._take is not None else self._closing_messages

    def elapsed(self, now: float) -> float:
        """Seconds since the current episode began; 0 between episodes."""
        return now - self._take.began if self._take is not None else 0.0

    def hear(self, heard: ReceivedMessage, now: float) -> None:
        """Any message but a status or a command."""
        self._seen_state |= heard.topic in self._state_topics
        if self._take is None and self._judged is False and heard.topic in self._state_topics:
            self._begin(heard.stamp_ns, self._describe(), now)
        self._record(heard, now)

    def hear_command(self, heard: ReceivedMessage, answers_ns: int, now: float) -> None:
        """A command; ``answers_ns``: stamp of the observation it answers, 0: none."""
        if self._take is not None:
            self._take.drops.answered(answers_ns)
        self._record(heard._replace(belongs_ns=answers_ns), now)

    def refuse(self, topic: str, reason: str) -> None:
        """A message of a topic that could not even be read."""
        self._refused[topic] = (self._refused.get(topic, (0, ""))[0] + 1, reason)

    def hear_status(self, heard: ReceivedMessage, status: Any, now: float, publisher: bytes = b"") -> None:
        """An EpisodeStatus: ends and begins episodes. ``publisher``: the middleware's identifier, if it is told."""
        self._judged = True
        self._surroundings.hear_status(status, publisher)
        take = self._take
        if take is not None and not take.ending and status.episode_id != take.info.episode_id:
            self._finish(ABORTED, "another episode began before this one ended", now)
            take = None
        elif take is not None and take.ending and status.episode_id != take.info.episode_id:
            self._finish("", "", now)
            take = None
        if take is None and self._wants(status):
            info = replace(self._describe(), suite=status.suite, episode_id=status.episode_id, seed=int(status.seed))
            self._begin(heard.stamp_ns, info, now)
            take = self._take
        if take is not None and not take.ending:
            take.drops.status(heard.stamp_ns, int(status.step))
        self._record(heard, now)
        if take is not None and status.ended and not take.ending:
            take.end(heard.stamp_ns, OUTCOME_OF_REASON.get(status.termination_reason, FAULT), status.message, now)

    def check(self, now: float) -> None:
        """To be called often: time limits, and what the disk has to say."""
        if self._final is None:
            trouble = self._surroundings.trouble(now - self._began, self._request.timeout, self._cameras)
            if trouble is not None:
                self._stop(trouble, now)
        if self._take is not None and self._take.complete(now):
            self._finish("", "", now)
        if self._judged is None and now - self._began > JUDGE_WAIT and not self._has_judge():
            if not self._task:
                self._stop(
                    End(Outcome.REFUSED, "no task given, and nobody publishes 'episode' to tell it; name the task"), now
                )
            self._judged = False
        if self._final is None and now - self._waiting_since > self._request.timeout:
            self._out_of_time(now)
        self._conclude()

    def handle(self, event: Event) -> None:
        """What the writer reports."""
        if isinstance(event, Kept | Discarded):
            self._closing = max(0, self._closing - 1)
            self._closing_messages = 0
        if isinstance(event, Kept):
            self._tally.keep(event)
            self.reason = ""
        elif isinstance(event, Discarded) and event.reason:
            self._decided -= 1
            self._tally.refuse(event.reason)
            self.reason = event.reason
        elif isinstance(event, Failed):
            self._take, self._closing, self._closing_messages = None, 0, 0
            self._final = End(Outcome.INTERNAL_ERROR, event.reason)
        self._conclude()

    def cancel(self, now: float, message: str = "cancelled by the client") -> None:
        """End now. An episode nobody judges is complete by that; another one is broken off."""
        self._stop(End(Outcome.CANCELLED, message), now)
        self._conclude()

    def _describe(self) -> EpisodeInfo:
        names = {topic: name for topic, (name, _) in self._topics.items()}
        return EpisodeInfo(self._task, self._embodiment, names, self._instructions())

    def _instructions(self) -> tuple[str, ...]:
        return self._request.instructions or self.sentences.get(self._task, ())

    def _wants(self, status: Any) -> bool:
        """Whether this status begins an episode to be recorded."""
        if self._final is not None or status.ended or not status.task or status.episode_id == self._last_id:
            return False
        if not self._task:
            self._task = status.task
        if status.task != self._task:
            if status.task not in self._other_tasks and len(self._other_tasks) < OTHERS:
                self._other_tasks.append(printable(status.task, 60))
            return False
        return bool(status.step == 0)  # of one that is under way, the beginning is lost

    def _begin(self, start_ns: int, info: EpisodeInfo, now: float) -> None:
        if self._final is not None or self._decided >= self._request.episodes:
            return
        types = dict(self._topics.values())
        self._take = EpisodeRecording(info, start_ns, self._writer, now)
        self._refused.clear()
        self._waiting_since = now
        self._writer.open(task_folder(self._request.dataset, info.task), self._take.info, types)
        for heard in self._early:
            self._take.hear(heard)
        self._early.clear()

    def _record(self, heard: ReceivedMessage, now: float) -> None:
        if self._take is None:
            self._early.append(heard)
            return
        self._take.hear(heard)
        if self._take.complete(now):
            self._finish("", "", now)

    def _finish(self, outcome: str, message: str, now: float) -> None:
        """Close the current episode; ``outcome`` and ``message`` where the status gave none."""
        take, self._take = self._take, None
        if take is None:
            return
        info = replace(take.final(outcome, message), instructions=self._instructions())
        # What was broken off is no attempt at the task; it is never kept.
        keep = info.outcome in (SUCCESS, UNJUDGED) or (self._request.keep_failures and info.outcome != ABORTED)
        self._writer.close(info if keep else None, self._said())
        self._closing += 1
        self._closing_messages = take.messages
        self._decided += keep
        if not keep and info.outcome != ABORTED:
            self._tally.failed += 1
            self.reason = ""
        self._last_id = info.episode_id
        self._waiting_since = now

    def _stop(self, end: End, now: float) -> None:
        if self._final is not None:
            return
        self._finish(UNJUDGED if self._judged is False else ABORTED, end.message, now)
        self._final = end

    def _out_of_time(self, now: float) -> None:
        if self._judged is False and self._take is not None:
            self._finish(UNJUDGED, "the time for one episode was over", now)
            return
        limit = f"{self._request.timeout:g} s"
        if self._take is not None:
            reason = f"an episode did not end within {limit}"
        elif not self._seen_state:
            names = ", ".join(sorted(name for topic, (name, _) in self._topics.items() if topic in self._state_topics))
            reason = f"no message on {names} within {limit}; is the robot or the simulator running?"
            if said := ", ".join(self._said()):
                reason = f"no usable message on {names} within {limit}: {said}"
        elif self._other_tasks:
            reason = f"within {limit} only episodes of {', '.join(self._other_tasks)}, none of '{self._task}'"
        else:
            reason = f"no episode began within {limit}; call reset_episode"
        self._stop(End(Outcome.TIMED_OUT, reason), now)

    def _conclude(self) -> None:
        """Set :attr:`end` once everything is on the disk."""
        if self.end is not None or self._closing:
            return
        if self._final is None:
            if len(self.files) < self._request.episodes:
                return
            self._final = End(Outcome.SUCCEEDED, "")
        self.end = self._tally.tell(self._final, self._request.episodes)

    def _said(self) -> tuple[str, ...]:
        """What was dropped before it was written, in words."""
        return tuple(f"{topic}: {count} dropped ({reason})" for topic, (count, reason) in self._refused.items())
