"""Messages in, observations out: the same code for live topics and for recorded ones.

Messages are joined by their header stamps, never by when they arrived: an observation is complete when all parts of
the state, and the pictures asked for, were taken within half a control period of one another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.embodiment_parts import Camera, StateField
from polytask_robot_io.errors import BadMessage
from polytask_robot_io.images import check_image, to_array
from polytask_robot_io.stamps import SECOND, header_ns
from polytask_robot_io.state_sources import JointStateSource, StateVectorSource

KEPT = 16
"""States, and pictures of each camera, kept while waiting for their counterparts."""


@dataclass(frozen=True)
class Observation:
    """What the robot saw at one instant."""

    stamp_ns: int
    """Nanoseconds: header stamp of the state, which a command that answers it must carry."""
    state: np.ndarray
    """``float32 (n,)`` in the order and units of the embodiment file; this observation's own."""
    images: Mapping[str, np.ndarray] = field(default_factory=dict)
    """``uint8 (H, W, 3)`` RGB for each camera by name, this observation's own; empty when none was asked for."""


class ObservationAssembler:
    """Joins messages to observations as the embodiment file says.

    Feed it every message of :attr:`topics`; it may raise :class:`BadMessage`, after which it goes on as if that message
    had never come. A slow or dead camera holds up only those who asked for pictures. When stamps jump back by more than
    the embodiment's ``max_age`` (a simulator was started anew, a bag loops, a clock was set back) everything older is
    forgotten; a state that is late by less is not used. :attr:`behind` tells of both.
    """

    def __init__(self, embodiment: Embodiment, cameras: bool | Collection[str] = True) -> None:
        """``cameras``: whether an observation needs pictures of all the embodiment's cameras, or the names of those."""
        self.embodiment = embodiment
        self._half_period = embodiment.period_ns // 2
        by_topic: dict[str, list[tuple[int, StateField]]] = {}
        for place, entry in enumerate(embodiment.state):
            by_topic.setdefault(entry.topic, []).append((place, entry))
        self._sources: dict[str, StateVectorSource | JointStateSource] = {}
        for topic, entries in by_topic.items():
            kind = StateVectorSource if entries[0][1].quantity == "value" else JointStateSource
            self._sources[topic] = kind(topic, entries)
        # One StateVector holds everything: each message is a whole state, and nothing needs to be joined.
        self._whole = len(self._sources) == 1 and isinstance(next(iter(self._sources.values())), StateVectorSource)
        wanted = {camera.name for camera in embodiment.cameras} if cameras is True else cameras or ()
        self._cameras: dict[str, Camera] = {
            camera.topic: camera for camera in embodiment.cameras if camera.name in wanted
        }
        self.reset()

    @property
    def topics(self) -> dict[str, str]:
        """Relative topics to feed from, with their message types, e.g. ``{"state": "StateVector"}``."""
        kinds = {
            topic: "StateVector" if isinstance(source, StateVectorSource) else "JointState"
            for topic, source in self._sources.items()
        }
        return kinds | dict.fromkeys(self._cameras, "Image")

    def reset(self) -> None:
        """Forget all messages fed so far."""
        count = len(self.embodiment.state)
        self._values = np.zeros(count, dtype=np.float32)
        self._stamps = np.full(count, -1, dtype=np.int64)
        self._states: deque[tuple[int, np.ndarray]] = deque(maxlen=KEPT)
        self._pictures: dict[str, deque[tuple[int, Any]]] = {topic: deque(maxlen=KEPT) for topic in self._cameras}
        self._newest: Observation | None = None
        self.behind = ""
        """How far the last message's stamp lay behind those before it, and what was done; empty when it did not."""

    def feed(self, topic: str, message: Any) -> bool:
        """Take in one message of ``topic``; true when :meth:`newest` may have changed.

        The message may come from rclpy, the rosbags library or mcap-ros2-support.

        Raises:
            BadMessage: no stamp, wrong names, lengths, encoding or size, truncated data, or a value that is not finite
                or out of its range.
        """
        self.behind = ""
        try:
            stamp_ns = header_ns(topic, message)
            if (source := self._sources.get(topic)) is not None:
                places, values = source.read(message)
                return self._feed_state(topic, stamp_ns, places, values)
            if (camera := self._cameras.get(topic)) is None:
                raise BadMessage(f"{topic}: not a topic of embodiment '{self.embodiment.name}' that is read here")
            try:
                check_image(message, camera.width, camera.height)
            except BadMessage as error:
                raise BadMessage(f"{topic}: {error}") from error
        except (AttributeError, TypeError) as error:  # a recording may hold another type under that name
            raise BadMessage(f"{topic}: not a message of the type that is read here: {error}") from error
        self._pictures[topic].append((stamp_ns, message))
        return True

    def _feed_state(self, topic: str, stamp_ns: int, places: np.ndarray, values: np.ndarray) -> bool:
        if not len(places):
            return False  # of joints that are not this robot's
        last = self._states[-1][0] if self._states else -1
        if stamp_ns < last - self.embodiment.max_age_ns:
            self.reset()
            self._tell_behind(topic, stamp_ns, last, "all before it is forgotten")
            last = -1
        lead = stamp_ns
        if not self._whole:
            self._values[places] = values
            self._stamps[places] = stamp_ns
            # The first declared entry leads: a state carries its stamp, and there is one for each of its messages.
            lead = int(self._stamps[0])
        if lead < last:
            self._tell_behind(topic, lead, last, "it is not used")
        if lead <= last or (not self._whole and np.abs(self._stamps - lead).max() > self._half_period):
            return False
        # What is joined is written into again; what was handed out stays as it was at its stamp.
        self._states.append((lead, values if self._whole else self._values.copy()))
        return True

    def _tell_behind(self, topic: str, stamp_ns: int, last: int, then: str) -> None:
        self.behind = (
            f"{topic}: a state is stamped {(last - stamp_ns) / SECOND:.3f} s before the newest one, and {then}; was a "
            "clock set back or a simulation started anew, or do two programs publish it?"
        )

    def newest(self) -> Observation | None:
        """The newest complete observation; ``None`` before there is one. The same object until a newer one is there."""
        known = self._newest.stamp_ns if self._newest is not None else -1
        for stamp_ns, state in reversed(self._states):
            if stamp_ns <= known:
                break
            nearest = self._nearest_pictures(stamp_ns)
            if nearest is not None:
                images = {self._cameras[topic].name: to_array(message) for topic, message in nearest.items()}
                self._newest = Observation(stamp_ns, state, images)
                break
        return self._newest

    def missing(self) -> list[str]:
        """Topics of the cameras that have no picture for the newest state; empty before there is a state."""
        if not self._states:
            return []
        newest = self._states[-1][0]
        return [topic for topic in self._pictures if self._nearest(topic, newest) is None]

    def _nearest_pictures(self, stamp_ns: int) -> dict[str, Any] | None:
        """Each camera's picture nearest to the stamp; ``None`` when one has none within half a period."""
        found = {}
        for topic in self._pictures:
            picture = self._nearest(topic, stamp_ns)
            if picture is None:
                return None
            found[topic] = picture
        return found

    def _nearest(self, topic: str, stamp_ns: int) -> Any | None:
        best = min(self._pictures[topic], key=lambda picture: abs(picture[0] - stamp_ns), default=None)
        return None if best is None or abs(best[0] - stamp_ns) > self._half_period else best[1]
