"""Parsing of ExecuteTask goals; each is checked before anything else happens."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from polytask_robot_io.errors import BadMessage
from polytask_robot_io.images import to_array

if TYPE_CHECKING:
    from polytask_policy.goals import Goal
    from polytask_policy.unified import UnifiedPolicy

LARGEST_TIMEOUT = 24 * 3600.0
"""s; a longer one is a mistake in units."""


class BadGoal(ValueError):
    """A goal that cannot be meant; the message says why and what to send instead."""


@dataclass(frozen=True)
class Request:
    """A well-formed goal, not yet understood."""

    kind: str
    """``words``, ``image`` or ``task``."""
    timeout: float
    """s from its beginning."""
    understand: Callable[[UnifiedPolicy], Goal]
    """Turns it into a goal of the policy; may take tens of milliseconds, may raise ``UnknownGoal`` or BadMessage."""


def read_request(message: Any, default_timeout: float) -> Request:
    """Check an ExecuteTask.Goal: exactly one of words, image and task, and a usable timeout (s).

    Raises:
        BadGoal: none or several of the three, or a timeout that is negative, not finite or over a day.
    """
    timeout = float(message.timeout)
    if not math.isfinite(timeout) or timeout < 0 or timeout > LARGEST_TIMEOUT:
        raise BadGoal(
            f"timeout is {timeout} s; it must lie within 0 (the server's default) and {LARGEST_TIMEOUT:.0f} s"
        )
    timeout = timeout or default_timeout
    image = message.image
    has_image = bool(len(image.data) or image.encoding or image.width or image.height)
    # Blanks count as given, so that they are refused as empty rather than taken for a goal of another kind.
    given = [
        name
        for name, is_given in (("words", bool(message.words)), ("image", has_image), ("task", bool(message.task)))
        if is_given
    ]
    if not given:
        raise BadGoal("the goal is empty: fill in words, an image or the name of a task")
    if len(given) > 1:
        raise BadGoal(f"the goal has {' and '.join(given)} at once: fill in exactly one of words, image and task")
    if given == ["words"]:
        words = message.words
        return Request("words", timeout, lambda policy: policy.goal_from_words(words))
    if given == ["task"]:
        task = message.task
        return Request("task", timeout, lambda policy: policy.goal_from_task(task))
    return Request("image", timeout, lambda policy: policy.goal_from_image(_picture(image)))


def _picture(image: Any) -> Any:
    try:
        return to_array(image)
    except BadMessage as error:
        raise BadGoal(f"the goal's picture cannot be used: {error}") from error
