"""One episode while it is recorded: which messages belong to it, and when it is over."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timezone
from typing import NamedTuple

from polytask_demo_recorder.dataset.alignment import EPISODE_TOPIC
from polytask_demo_recorder.dataset.episode_info import EpisodeInfo
from polytask_demo_recorder.recording.drops import Drops
from polytask_demo_recorder.recording.writer import EpisodeWriter

GRACE = 0.5
"""Seconds to wait, after the status reported the end, for the last picture."""


class ReceivedMessage(NamedTuple):
    """One message as it arrived."""

    topic: str
    """Relative topic."""
    stamp_ns: int
    """Its header's stamp."""
    belongs_ns: int
    """Stamp that decides to which episode it belongs: a command belongs to the observation it answers. 0: arrival."""
    log_time: int
    """Node clock at arrival, ns."""
    data: bytes


class EpisodeRecording:
    """One episode from its first observation on. The writer has been told to open it."""

    def __init__(self, info: EpisodeInfo, start_ns: int, writer: EpisodeWriter, now: float) -> None:
        """``start_ns``: stamp of the first observation; ``now``: s of a steady clock."""
        self.info = dataclasses.replace(info, recorded_at=datetime.now(timezone.utc).isoformat(timespec="seconds"))
        self.began = now
        self.messages = 0
        self.drops = Drops(info.embodiment)
        self._start_ns = start_ns
        self._end_ns: int | None = None
        self._ended = 0.0
        self._outcome = ("", "")
        self._writer = writer
        # What must have arrived up to the end before the file may be closed.
        driven = (info.embodiment.command_topic, EPISODE_TOPIC)
        self._last = dict.fromkeys((topic for topic in info.topics if topic not in driven), -1)
        self._state_topics = {entry.topic for entry in info.embodiment.state}
        self._heard: set[str] = set()
        self._slack_ns = info.embodiment.period_ns // 2

    def hear(self, heard: ReceivedMessage) -> None:
        """Record a message if it belongs to this episode."""
        if heard.topic in self._last:
            self._last[heard.topic] = max(self._last[heard.topic], heard.belongs_ns)
        if not self._belongs(heard):
            return
        if not self._writer.write(self.info.topics[heard.topic], heard.log_time, heard.stamp_ns, heard.data):
            self.drops.overflowed(heard.topic)
            return
        self.messages += 1
        self.drops.observed(heard.topic, heard.stamp_ns)

    def _belongs(self, heard: ReceivedMessage) -> bool:
        if heard.belongs_ns <= 0:
            return not self.ending and not self._state_topics.isdisjoint(self._heard)
        if heard.belongs_ns < self._start_ns:
            # Late from before; or the clock of a topic that has come already was set back, which its reader must see.
            return heard.topic in self._heard and not self.ending
        self._heard.add(heard.topic)
        return self._end_ns is None or heard.belongs_ns <= self._end_ns

    def end(self, end_ns: int, outcome: str, message: str, now: float) -> None:
        """The status reported the end; what was taken up to ``end_ns`` may still arrive."""
        self._end_ns, self._outcome, self._ended = end_ns, (outcome, message), now

    @property
    def ending(self) -> bool:
        """The end has been reported."""
        return self._end_ns is not None

    def complete(self, now: float) -> bool:
        """Everything up to the end has arrived, or does not come; topics never heard are not waited for."""
        if self._end_ns is None:
            return False
        if now - self._ended > GRACE:
            return True
        heard = [stamp for stamp in self._last.values() if stamp >= self._start_ns]
        return bool(heard) and min(heard) >= self._end_ns - self._slack_ns

    def final(self, outcome: str = "", message: str = "") -> EpisodeInfo:
        """The description with its end: as reported, or as given when it was broken off."""
        ended, said = self._outcome
        return self.info.with_end(ended or outcome, said or message, self.drops.missing())
