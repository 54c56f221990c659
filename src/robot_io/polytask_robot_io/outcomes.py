"""How goals and episodes end: the constants of Outcome.msg and EpisodeStatus.msg, also for code without ROS."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Outcome(IntEnum):
    """How a goal of an action ended; the numbers of Outcome.msg, where each is explained."""

    SUCCEEDED = 0
    TIMED_OUT = 1
    CANCELLED = 2
    PREEMPTED = 3
    UNKNOWN_GOAL = 4
    STALE_OBSERVATIONS = 5
    BUSY = 6
    INTERNAL_ERROR = 7
    REFUSED = 8


class TerminationReason(IntEnum):
    """Where a simulated episode stands; the numbers of EpisodeStatus.msg."""

    RUNNING = 0
    SUCCEEDED = 1
    TIME_LIMIT = 2
    ABORTED = 3
    FAULT = 4


@dataclass(frozen=True)
class End:
    """How a goal ended."""

    outcome: Outcome
    message: str
    """The same for a person: what happened, and what to do about it."""
