"""Shows what runs and how far it is: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from polytask_trainer.jobs.display import describe

QUIET_SECONDS = 20.0


class BarDisplay:
    """Live bars: one for the whole demo, one for every running job; finished jobs scroll away above them."""

    def __init__(self, console: Console, jobs: int) -> None:
        """``jobs``: how many there will be."""
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[text]}"),
            console=console,
            transient=True,
        )
        self._all = self._progress.add_task("[bold]demo", total=jobs, text="")
        self._bars: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}

    def __enter__(self) -> BarDisplay:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def begin(self, name: str) -> None:
        """Show a bar for the job."""
        self._began[name] = time.monotonic()
        self._bars[name] = self._progress.add_task(name, total=1.0, text="starting")

    def update(self, name: str, report: Mapping[str, Any]) -> None:
        """Move its bar."""
        done, total, text = report.get("step"), report.get("total_steps"), ", ".join(describe(report))
        self._progress.update(self._bars[name], completed=done, total=total, text=text)

    def end(self, name: str) -> None:
        """Take its bar away and leave a line."""
        self._progress.remove_task(self._bars.pop(name))
        self._leave(name, f"{time.monotonic() - self._began[name]:.0f} s")

    def skip(self, name: str) -> None:
        """Leave a line for what an earlier run did."""
        self._leave(name, "done in an earlier run")

    def _leave(self, name: str, remark: str) -> None:
        self._progress.advance(self._all)
        self._progress.console.print(Text.assemble(("✓ ", "green"), name, (f"  {remark}", "dim")))


class LineDisplay:
    """One line when a job starts, one now and then, one when it ends; for logs and pipes."""

    def __init__(self, console: Console, jobs: int) -> None:
        """``jobs``: how many there will be."""
        self._console, self._jobs, self._done = console, jobs, 0
        self._began: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def __enter__(self) -> LineDisplay:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def begin(self, name: str) -> None:
        """Say that it starts."""
        self._began[name] = self._last[name] = time.monotonic()
        self._console.print(f"{name}: started")

    def update(self, name: str, report: Mapping[str, Any]) -> None:
        """Say now and then how far it is."""
        now = time.monotonic()
        if "step" in report and now - self._last[name] >= QUIET_SECONDS:
            self._last[name] = now
            percent = 100 * report["step"] / max(report["total_steps"], 1e-9)
            self._console.print(f"{name}: {percent:.0f} %  {', '.join(describe(report))}")

    def end(self, name: str) -> None:
        """Say that it ended."""
        self._leave(name, f"done in {time.monotonic() - self._began[name]:.0f} s")

    def skip(self, name: str) -> None:
        """Say that an earlier run did it."""
        self._leave(name, "done in an earlier run")

    def _leave(self, name: str, remark: str) -> None:
        self._done += 1
        self._console.print(f"{name}: {remark} ({self._done} of {self._jobs})")


def make_display(console: Console, jobs: int) -> BarDisplay | LineDisplay:
    """What fits the console."""
    return BarDisplay(console, jobs) if console.is_terminal else LineDisplay(console, jobs)
