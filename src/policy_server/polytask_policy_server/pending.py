"""Goals that are not yet encoded: how many may wait, and for how long."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from polytask_policy_server.goal_request import GoalRequest, WordsGoal
from polytask_robot_io.outcomes import End, Outcome

if TYPE_CHECKING:
    from polytask_policy.unified import UnifiedPolicy
    from polytask_policy_server.goal_encoding import GoalEncoding, OnEncoded

MOST = 10
"""One more takes the place of the oldest, as newer goals do anyway."""

LOOSE = 1.0
"""s that a goal may wait beyond its bound, so that whoever was waited for can say what was wrong."""


@dataclass
class Pending:
    """A goal that is not yet encoded."""

    handle: Any
    request: GoalRequest
    accepted_ns: int
    """Node time, ns."""
    since: float
    """s of the steady clock."""


class PendingGoals:
    """Keeps them in the order in which they came, and ends each in one way or another."""

    def __init__(
        self, encoding: GoalEncoding, bound: float, loading: float, on_end: Callable[[Any, End], None]
    ) -> None:
        """``bound``, ``loading``: s that encoding a goal, and loading the language model, may take.

        ``on_end`` is told of the handle of each goal that ends here, and how.
        """
        self._encoding, self._on_end = encoding, on_end
        self._bound, self._loading = bound, loading
        self._loaded = 0.0
        self._goals: dict[bytes, Pending] = {}

    def __len__(self) -> int:
        return len(self._goals)

    def add(
        self, handle: Any, request: GoalRequest, accepted_ns: int, policy: UnifiedPolicy, on_encoded: OnEncoded
    ) -> None:
        """Have ``policy`` encode one more; see GoalEncoding for the thread in which ``on_encoded`` is called."""
        if len(self._goals) >= MOST:
            self.end(next(iter(self._goals)), End(Outcome.PREEMPTED, "newer goals came before this one was understood"))
        key = bytes(handle.goal_id.uuid)
        self._goals[key] = Pending(handle, request, accepted_ns, time.monotonic())
        self._encoding.submit(key, request.goal, policy, on_encoded)

    def __contains__(self, key: bytes) -> bool:
        return key in self._goals

    def take(self, key: bytes) -> Pending:
        """Take out one that was encoded; those before it are overtaken."""
        for other in list(self._goals):
            if other == key:
                break
            self.end(other, End(Outcome.PREEMPTED, "a newer goal took over before this one began"))
        return self._goals.pop(key)

    def end(self, key: bytes, end: End) -> None:
        """End one that does not begin."""
        self._encoding.forget(key)
        self._on_end(self._goals.pop(key).handle, end)

    def cancel(self, handle: Any) -> bool:
        """End that of a client who wants it no more; false where it is none of these."""
        key = bytes(handle.goal_id.uuid)
        if key not in self._goals:
            return False
        self.end(key, End(Outcome.CANCELLED, "cancelled by the client before it began"))
        return True

    def end_all(self, end: End) -> int:
        """End all; returns how many."""
        count = len(self._goals)
        for key in list(self._goals):
            self.end(key, end)
        return count

    def check(self) -> None:
        """End those that have waited too long; called every few milliseconds."""
        now = time.monotonic()
        if self._encoding.loading:
            self._loaded = now
        most = self._bound + LOOSE
        for key, goal in list(self._goals.items()):
            ready = max(goal.since, self._loaded) if isinstance(goal.request.goal, WordsGoal) else goal.since
            if now - ready > most or now - goal.since > self._loading + most:
                reason = f"it was not understood within {self._bound:g} s; is the machine busy? Ask again"
                self.end(key, End(Outcome.INTERNAL_ERROR, reason))
