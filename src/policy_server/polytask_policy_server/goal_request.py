"""Parsing of ExecuteTask goals; each is checked before anything else happens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

LARGEST_TIMEOUT = 24 * 3600.0
"""s; a longer one is a mistake in units."""


class BadGoal(ValueError):
    """A goal that cannot be meant; the message says why and what to send instead."""


@dataclass(frozen=True)
class WordsGoal:
    """A task described by a sentence."""

    words: str


@dataclass(frozen=True, eq=False)
class ImageGoal:
    """A task shown by a picture of its result."""

    image: Any
    """sensor_msgs/Image, not yet decoded: that takes a while and may fail."""


@dataclass(frozen=True)
class TaskGoal:
    """A task called by its name."""

    task: str


RequestedGoal = WordsGoal | ImageGoal | TaskGoal


@dataclass(frozen=True)
class GoalRequest:
    """A well-formed goal, not yet encoded."""

    goal: RequestedGoal
    timeout: float
    """s from its beginning."""


def read_request(message: Any, default_timeout: float) -> GoalRequest:
    """Check an ExecuteTask.Goal: exactly one of words, image and task, and a usable timeout (s).

    Raises:
        BadGoal: none or several of the three, or a timeout that is negative, not finite or over a day.
    """
    timeout = float(message.timeout)
    if not math.isfinite(timeout) or timeout < 0 or timeout > LARGEST_TIMEOUT:
        raise BadGoal(
            f"timeout is {timeout} s; it must lie within 0 (the server's default) and {LARGEST_TIMEOUT:.0f} s"
        )
    image = message.image
    # Blanks count as given, so that they are refused as empty rather than taken for a goal of another kind.
    given: dict[str, RequestedGoal] = {}
    if message.words:
        given["words"] = WordsGoal(message.words)
    if len(image.data) or image.encoding or image.width or image.height:
        given["image"] = ImageGoal(image)
    if message.task:
        given["task"] = TaskGoal(message.task)
    if not given:
        raise BadGoal("the goal is empty: fill in words, an image or the name of a task")
    if len(given) > 1:
        raise BadGoal(f"the goal has {' and '.join(given)} at once: fill in exactly one of words, image and task")
    [goal] = given.values()
    return GoalRequest(goal, timeout or default_timeout)
