"""Several jobs: side by side, in order of what they need, with a clean end at Ctrl-C."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from polytask_trainer.jobs.execute import Progress
from polytask_trainer.jobs.spec import Job
from polytask_trainer.jobs.worker import Ending, OnEnd, Worker


class JobEnded(Exception):
    """A job did not finish; the others were stopped, with their state saved."""

    def __init__(self, title: str, ending: Ending) -> None:
        """``title`` of the first job that did not finish, and how it ended."""
        super().__init__(f"{title}: {ending.message or ending.how}")
        self.title = title
        self.ending = ending


class Display(Protocol):
    """Where progress is shown; called in the thread of :func:`run_jobs`."""

    def begin(self, title: str) -> None:
        """The job has started."""

    def update(self, title: str, report: Mapping[str, Any]) -> None:
        """The job says ``step`` and ``total_steps``, or only a ``phase``; see display.py."""

    def end(self, title: str) -> None:
        """The job has finished."""


class Start(Protocol):
    """Starts a job: the seam at which jobs can be run elsewhere than in processes of this machine.

    Another executor does ``polytask_trainer.jobs.execute.run`` there, on the job's plain data (``spec.to_dict``) and on
    the folders that the job names. It calls ``on_progress`` with each report and then ``on_end`` once, with how the job
    ended, in any thread. It ends the job when this process ends, also by SIGKILL.
    """

    def __call__(self, job: Job, on_progress: Progress, on_end: OnEnd, *, title: str, slot: int) -> Callable[[], None]:
        """Start ``job``; gives what tells it to stop, which returns at once, and does nothing after the job's end.

        Jobs that run at the same time have different ``slot`` numbers, from 0 on.
        """


def start_process(job: Job, on_progress: Progress, on_end: OnEnd, *, title: str, slot: int) -> Callable[[], None]:
    """Start a job in a process of its own, see worker.py."""
    return Worker(job, on_progress, on_end).stop


def run_jobs(
    jobs: Mapping[str, Job],
    display: Display,
    parallel: int = 1,
    *,
    needs: Mapping[str, Sequence[str]] | None = None,
    alone: Collection[str] = (),
    seconds: float | None = None,
    on_result: Callable[[str, dict[str, Any]], None] | None = None,
    start: Start = start_process,
) -> dict[str, dict[str, Any]]:
    """Run jobs by title, at most ``parallel`` at once; gives their results.

    They start in their order, each once those that it ``needs`` have finished; beside those that are ``alone`` nothing
    runs. Ctrl-C, SIGTERM, the failure of one and the passing of ``seconds`` have all that run save their state and end.
    ``on_result`` gets each title that finished, with its result. To be called in the main thread, which gets signals.

    Raises:
        JobEnded: one was stopped, was refused or failed.
        ValueError: jobs need what is not among them, or each other.
    """
    messages: queue.SimpleQueue[tuple[str, dict[str, Any] | Ending | None]] = queue.SimpleQueue()
    handlers = {n: signal.signal(n, lambda *_: messages.put(("", None))) for n in (signal.SIGINT, signal.SIGTERM)}
    waiting, results = list(jobs), dict[str, dict[str, Any]]()
    stops: dict[str, Callable[[], None]] = {}
    """Of the jobs that run."""
    slots: dict[str, int] = {}
    ended: JobEnded | None = None
    stopping = False
    alarm = threading.Timer(seconds or 0.0, messages.put, [("", None)])
    alarm.daemon = True
    if seconds is not None:
        alarm.start()

    def may_start(title: str) -> bool:
        if len(stops) == parallel or (stops and any(one in alone for one in (title, *stops))):
            return False
        return all(need in results for need in (needs or {}).get(title, ()))

    def begin(title: str) -> None:
        slots[title] = min(set(range(parallel)) - {slots[one] for one in stops})
        stops[title] = start(
            jobs[title],
            lambda report: messages.put((title, report)),
            lambda ending: messages.put((title, ending)),
            title=title,
            slot=slots[title],
        )
        display.begin(title)

    try:
        while stops or (waiting and not stopping):
            while not stopping and (ready := next(filter(may_start, waiting), None)) is not None:
                waiting.remove(ready)
                begin(ready)
            if not stops:
                raise ValueError(f"jobs wait for what never comes: {', '.join(waiting)}")
            title, message = messages.get()
            if isinstance(message, dict):
                display.update(title, message)
                continue
            if isinstance(message, Ending):
                del stops[title]
                if message.how == "finished":
                    results[title] = message.result
                    display.end(title)
                    if on_result is not None:
                        on_result(title, message.result)
                    continue
                ended = ended or JobEnded(title, message)
            if not stopping:
                stopping = True
                for one, stop in stops.items():
                    display.update(one, {"phase": "saving"})
                    stop()
    finally:
        alarm.cancel()
        for stop in stops.values():
            stop()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if ended is None and stopping:
        ended = JobEnded(next((title for title in jobs if title not in results), ""), Ending("stopped"))
    if ended is not None and len(results) < len(jobs):
        raise ended
    return results
