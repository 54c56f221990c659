"""Several jobs from the command line: processes side by side, one progress bar each, a clean end at Ctrl-C."""

from __future__ import annotations

import queue
import signal
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining

from polytask_trainer.jobs import Job
from polytask_trainer.worker import Ending, Worker


class JobEnded(Exception):
    """A job did not finish; the others were stopped, with their state saved."""

    def __init__(self, title: str, ending: Ending) -> None:
        """``title`` of the first job that did not finish, and how it ended."""
        super().__init__(f"{title}: {ending.message or ending.how}")
        self.title = title
        self.ending = ending


def run_jobs(jobs: Mapping[str, Job], console: Console, parallel: int = 1) -> dict[str, dict[str, Any]]:
    """Run jobs by title, at most ``parallel`` at once, each in a process of its own; gives their results.

    Ctrl-C, SIGTERM and the failure of one have all that run save their state and end.

    Raises:
        JobEnded: one was stopped, was refused or failed.
    """
    messages: queue.SimpleQueue[tuple[str, dict[str, Any] | Ending | None]] = queue.SimpleQueue()
    handlers = {n: signal.signal(n, lambda *_: messages.put(("", None))) for n in (signal.SIGINT, signal.SIGTERM)}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), Remaining())
    waiting, results = list(jobs), dict[str, dict[str, Any]]()
    workers: dict[str, Worker] = {}
    bars: dict[str, TaskID] = {}
    ended: JobEnded | None = None
    stopping = False
    try:
        with Progress(*columns, console=console) as progress:
            while workers or (waiting and not stopping):
                while waiting and len(workers) < parallel and not stopping:
                    title = waiting.pop(0)
                    bars[title] = progress.add_task(title, total=None)
                    workers[title] = _start(jobs[title], title, messages)
                title, message = messages.get()
                if isinstance(message, dict):
                    text = ", ".join([title, *describe(message)])
                    progress.update(
                        bars[title], completed=message["step"], total=message["total_steps"], description=text
                    )
                    continue
                if isinstance(message, Ending):
                    del workers[title]
                    if message.how == "finished":
                        results[title] = message.result
                        continue
                    ended = ended or JobEnded(title, message)
                if not stopping:
                    stopping = True
                    for name, worker in workers.items():
                        progress.update(bars[name], description=f"{name}: saving")
                        worker.stop()
    finally:
        for worker in workers.values():
            worker.stop()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if ended is None and stopping:
        ended = JobEnded(next((title for title in jobs if title not in results), ""), Ending("stopped"))
    if ended is not None and len(results) < len(jobs):
        raise ended
    return results


def _start(job: Job, title: str, messages: queue.SimpleQueue[tuple[str, dict[str, Any] | Ending | None]]) -> Worker:
    return Worker(job, lambda report: messages.put((title, report)), lambda ending: messages.put((title, ending)))


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
