"""Shows what runs and how far it is: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from polytask_cli.demo.jobs.runner import Job

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

    def __enter__(self) -> BarDisplay:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def begin(self, job: Job) -> None:
        """Show a bar for the job."""
        self._bars[job.name] = self._progress.add_task(job.name, total=1.0, text="starting")

    def update(self, job: Job, done: float, total: float, text: str) -> None:
        """Move its bar."""
        self._progress.update(self._bars[job.name], completed=done, total=total, text=text)

    def end(self, job: Job, seconds: float, earlier: bool) -> None:
        """Take its bar away and leave a line."""
        if job.name in self._bars:
            self._progress.remove_task(self._bars.pop(job.name))
        self._progress.advance(self._all)
        remark = "done in an earlier run" if earlier else f"{seconds:.0f} s"
        self._progress.console.print(Text.assemble(("✓ ", "green"), job.name, (f"  {remark}", "dim")))


class LineDisplay:
    """One line when a job starts, one now and then, one when it ends; for logs and pipes."""

    def __init__(self, console: Console, jobs: int) -> None:
        """``jobs``: how many there will be."""
        self._console, self._jobs, self._done = console, jobs, 0
        self._last: dict[str, float] = {}

    def __enter__(self) -> LineDisplay:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def begin(self, job: Job) -> None:
        """Say that it starts."""
        self._last[job.name] = time.monotonic()
        self._console.print(f"{job.name}: started")

    def update(self, job: Job, done: float, total: float, text: str) -> None:
        """Say now and then how far it is."""
        now = time.monotonic()
        if now - self._last[job.name] >= QUIET_SECONDS:
            self._last[job.name] = now
            self._console.print(f"{job.name}: {100 * done / max(total, 1e-9):.0f} %  {text}")

    def end(self, job: Job, seconds: float, earlier: bool) -> None:
        """Say that it ended."""
        self._done += 1
        remark = "done in an earlier run" if earlier else f"done in {seconds:.0f} s"
        self._console.print(f"{job.name}: {remark} ({self._done} of {self._jobs})")


def make_display(console: Console, jobs: int) -> BarDisplay | LineDisplay:
    """What fits the console."""
    return BarDisplay(console, jobs) if console.is_terminal else LineDisplay(console, jobs)
