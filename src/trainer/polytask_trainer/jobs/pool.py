"""Several jobs from the command line: processes side by side, one progress bar each, a clean end at Ctrl-C."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining

from polytask_trainer.jobs.spec import Job
from polytask_trainer.jobs.worker import Ending, Worker

MOST_BARS = 20
"""With more jobs than this, a bar leaves when its job has finished."""


class JobEnded(Exception):
    """A job did not finish; the others were stopped, with their state saved."""

    def __init__(self, title: str, ending: Ending) -> None:
        """``title`` of the first job that did not finish, and how it ended."""
        super().__init__(f"{title}: {ending.message or ending.how}")
        self.title = title
        self.ending = ending


def run_jobs(
    jobs: Mapping[str, Job],
    console: Console,
    parallel: int = 1,
    *,
    needs: Mapping[str, Sequence[str]] | None = None,
    seconds: float | None = None,
    on_result: Callable[[str], None] | None = None,
) -> dict[str, dict[str, Any]]:
    """Run jobs by title, at most ``parallel`` at once, each in a process of its own; gives their results.

    They start in their order, each once those that it ``needs`` have finished. Ctrl-C, SIGTERM, the failure of one and
    the passing of ``seconds`` have all that run save their state and end. ``on_result`` gets each title that finished.

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
    alarm = threading.Timer(seconds or 0.0, messages.put, [("", None)])
    alarm.daemon = True
    if seconds is not None:
        alarm.start()

    def next_waiting() -> str | None:
        return next((one for one in waiting if all(need in results for need in (needs or {}).get(one, ()))), None)

    try:
        with Progress(*columns, console=console) as progress:
            while workers or (waiting and not stopping):
                while len(workers) < parallel and not stopping and (ready := next_waiting()) is not None:
                    waiting.remove(ready)
                    bars[ready] = progress.add_task(ready, total=None)
                    workers[ready] = _start(jobs[ready], ready, messages)
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
                        progress.update(bars[title], visible=len(jobs) <= MOST_BARS)
                        if on_result is not None:
                            on_result(title)
                        continue
                    ended = ended or JobEnded(title, message)
                if not stopping:
                    stopping = True
                    for name, worker in workers.items():
                        progress.update(bars[name], description=f"{name}: saving")
                        worker.stop()
    finally:
        alarm.cancel()
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
