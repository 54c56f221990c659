"""A request to the recorder."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polytask_demo_recorder.dataset.folder import check_writable, task_folder
from polytask_demo_recorder.errors import RecordingError

LONGEST = 10_000
"""Characters that all instructions may have together."""


@dataclass(frozen=True)
class Request:
    """What is to be recorded; see RecordEpisodes.action."""

    dataset: Path
    task: str
    """Empty: the task that the status names first."""
    instructions: tuple[str, ...]
    episodes: int
    keep_failures: bool
    timeout: float
    """Seconds of wall time for each episode."""


def checked_request(goal: Any, dataset: Path, default_timeout: float) -> Request:
    """Request of a RecordEpisodes goal; raises RecordingError for one that cannot be met."""
    if goal.episodes < 1:
        raise RecordingError("episodes is 0; ask for 1 at least")
    if not (math.isfinite(goal.timeout) and goal.timeout >= 0):
        raise RecordingError(f"timeout {goal.timeout} must be 0 or more seconds")
    if sum(len(sentence) for sentence in goal.instructions) > LONGEST:
        raise RecordingError(f"the instructions have over {LONGEST} characters; a task needs a sentence or a few")
    check_writable(task_folder(dataset, goal.task) if goal.task else dataset)
    return Request(
        dataset,
        goal.task,
        tuple(goal.instructions),
        goal.episodes,
        goal.keep_failures,
        goal.timeout or default_timeout,
    )
