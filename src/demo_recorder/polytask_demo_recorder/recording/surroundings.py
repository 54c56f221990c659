"""Check that every publisher which a recording needs is there, and none twice; without ROS."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from polytask_robot_io.outcomes import End, Outcome

HEARING = 15.0
"""Seconds within which all declared topics must have a publisher."""
IDS = 64
"""Episodes that are remembered."""


class Surroundings:
    """Who publishes while a goal is met."""

    def __init__(self, unheard: Callable[[], list[str]], rivals: Callable[[], list[str]]) -> None:
        """Begin.

        Args:
            unheard: names of topics without which no episode can be recorded, and whose publisher is not there.
            rivals: names of the nodes that publish what one simulation alone may publish, where there are several.
        """
        self._unheard = unheard
        self._rivals = rivals
        self._doubtful = False
        self._ids: deque[str] = deque(maxlen=IDS)
        self._step = 0
        self._publisher = b""
        self._earlier_publishers: set[bytes] = set()
        self.ready = False
        """Whether everything was heard without which no episode can be recorded."""

    def hear_status(self, status: Any, publisher: bytes = b"") -> None:
        """Notice what no single simulation does: an episode that was over goes on, or one goes back.

        ``publisher``: the middleware's identifier of who said it. One who speaks again after another did is not the
        killed predecessor that discovery still knows, but a second one, even where both say the same in step.
        """
        if publisher != self._publisher:
            self._earlier_publishers.add(self._publisher)
            self._publisher = publisher
            self._doubtful |= publisher in self._earlier_publishers
        if self._ids and status.episode_id == self._ids[-1]:
            self._doubtful |= status.step < self._step
        else:
            self._doubtful |= status.episode_id in self._ids
            self._ids.append(status.episode_id)
        self._step = int(status.step)

    def trouble(self, elapsed: float, timeout: float, cameras: bool) -> End | None:
        """How the goal has to end, if it has; ``elapsed`` s since it began, ``timeout`` s of an episode."""
        if not self.ready:
            missing = self._unheard()
            self.ready = not missing
            if missing and elapsed > (limit := min(HEARING, timeout)):
                off = ", or the recorder with cameras:=false" if cameras else ""
                return End(
                    Outcome.TIMED_OUT,
                    f"nobody to be heard on {', '.join(missing)} within {limit:g} s, which the embodiment declares; "
                    f"start its driver{off}",
                )
        if self._doubtful and (rivals := self._rivals()):
            return End(
                Outcome.REFUSED,
                f"{len(rivals)} nodes publish what one alone may: {', '.join(rivals)}; end the one that was forgotten, "
                "or use another ROS_DOMAIN_ID",
            )
        return None
