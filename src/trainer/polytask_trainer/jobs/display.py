"""Progress bars of jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining

MOST_BARS = 20
"""With more jobs than this, a bar leaves when its job has finished."""


class Bars:
    """A bar for every job, in steps; to be used as a context."""

    def __init__(self, console: Console, jobs: int) -> None:
        """``jobs``: how many there will be."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, Remaining(), console=console)
        self._jobs = jobs
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def begin(self, title: str) -> None:
        """Show a bar for the job."""
        self._bars[title] = self._progress.add_task(title, total=None)

    def update(self, title: str, report: Mapping[str, Any]) -> None:
        """Move its bar, and say what the report says."""
        text = ", ".join([title, *describe(report)])
        step, total = report.get("step"), report.get("total_steps")
        self._progress.update(self._bars[title], completed=step, total=total, description=text)

    def end(self, title: str) -> None:
        """Keep its bar unless there are many."""
        self._progress.update(self._bars[title], visible=self._jobs <= MOST_BARS)


def describe(report: Mapping[str, Any]) -> list[str]:
    """What a progress report says beside the step."""
    words = []
    if report.get("phase"):
        words.append(str(report["phase"]))
    if report.get("episode_reward") is not None:
        words.append(f"reward {report['episode_reward']:.1f}")
    if report.get("loss") is not None:
        words.append(f"loss {report['loss']:.4f}")
    return words
