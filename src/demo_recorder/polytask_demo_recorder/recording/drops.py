"""Which messages of an episode were lost on the way to the recorder."""

from __future__ import annotations

from collections import Counter

import numpy as np

from polytask_demo_recorder.dataset.alignment import EPISODE_TOPIC
from polytask_robot_io.embodiment import Embodiment


class Drops:
    """Counts by control step where a status tells them, otherwise by gaps between stamps."""

    def __init__(self, embodiment: Embodiment) -> None:
        self._command_topic = embodiment.command_topic
        self._period_ns = embodiment.period_ns
        cameras = [camera.topic for camera in embodiment.cameras]
        self._stamps: dict[str, set[int]] = {topic: set() for topic in [e.topic for e in embodiment.state] + cameras}
        self._steps: dict[int, int] = {}
        self._answered: set[int] = set()
        self._overflow: Counter[str] = Counter()

    def status(self, stamp_ns: int, step: int) -> None:
        """A status arrived."""
        self._steps[stamp_ns] = step

    def observed(self, topic: str, stamp_ns: int) -> None:
        """A message of an observation topic arrived; other topics are not counted."""
        if topic in self._stamps:
            self._stamps[topic].add(stamp_ns)

    def answered(self, observation_ns: int) -> None:
        """A command arrived that answers the observation of that stamp; 0: none."""
        if observation_ns:
            self._answered.add(observation_ns)

    def overflowed(self, topic: str) -> None:
        """A message arrived but could not be written: the disk is too slow."""
        self._overflow[topic] += 1

    def missing(self) -> dict[str, int]:
        """Lost messages by topic; topics that lost none, or were never heard (a camera that is off), are left out."""
        stamps = sorted(self._steps)
        steps = np.array([self._steps[stamp] for stamp in stamps], dtype=np.int64)
        jumps = int(np.maximum(np.diff(steps) - 1, 0).sum()) if len(steps) else 0
        found = Counter({EPISODE_TOPIC: jumps})
        for topic, seen in self._stamps.items():
            if seen & self._steps.keys():
                unannounced = len(seen - self._steps.keys())
                found[topic] = len(self._steps.keys() - seen) + max(0, jumps - unannounced)
            elif seen:
                periods = np.diff(np.array(sorted(seen), dtype=np.int64)) / self._period_ns
                found[topic] = int(np.maximum(np.round(periods[periods > 1.5]) - 1, 0).sum())
        if self._answered:
            # The last stamp of each step is the one from which the next step was taken.
            stepped = {stamp for stamp, now, after in zip(stamps, steps, steps[1:], strict=False) if after == now + 1}
            found[self._command_topic] = len(stepped - self._answered)
        found += self._overflow
        return {topic: count for topic, count in found.items() if count > 0}
