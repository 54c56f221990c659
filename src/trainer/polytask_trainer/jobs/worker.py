"""A job in a process of its own: callbacks of the one that asked never wait, and the job can always be ended.

The parent side is :class:`Worker`. The child is this module run as a program: it reads the job as one line of JSON on
standard input and writes lines of JSON to standard output. It stops when told by a signal, and when its standard input
closes, so that it never outlives a parent that was killed. What it started in its session ends with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polytask_trainer.jobs.execute import Progress, run
from polytask_trainer.jobs.spec import CallJob, EvaluateJob, Job, JobRefused, from_dict, to_dict

GRACE = 2.5
"""s a job with a small state is given to save it when told to stop; see :func:`grace`."""
CLEANING = 4.0
"""s a function that is interrupted is given to end its nodes; within five seconds in all."""
SAVING = 40e6
"""Bytes/s at which a state is saved at least: 960 MB took 10 to 14 s on a busy machine (load 6 on two cores)."""


def grace(job: Job) -> float:
    """Seconds a job is given to save its state, by the size of the one that it saved last, or to clean up.

    Then it is killed, and resumes from its last checkpoint.
    """
    if isinstance(job, EvaluateJob):
        return GRACE
    if isinstance(job, CallJob) and not job.polls:
        return CLEANING
    training = Path(job.output).expanduser() / "training"
    return GRACE + sum(file.stat().st_size for file in training.rglob("*.safetensors")) / SAVING


@dataclass(frozen=True)
class Ending:
    """How a job ended: ``finished``, ``stopped``, ``refused`` or ``failed``."""

    how: str
    message: str = ""
    result: dict[str, Any] = field(default_factory=dict)


OnEnd = Callable[[Ending], None]


class Worker:
    """Runs one job; ``on_progress`` and ``on_end`` (once) are called in a thread of the worker's."""

    def __init__(
        self,
        job: Job,
        on_progress: Progress,
        on_end: OnEnd,
        *,
        log: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Start the job, with the environment variables ``env`` beside those of this process.

        What it prints is appended to ``log``; without one it appears where this process prints its errors.
        """
        self.job = job
        self._on_progress, self._on_end = on_progress, on_end
        self._stopping = False
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") if log is not None else contextlib.nullcontext() as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "polytask_trainer.jobs.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **threads, **(env or {})},
                start_new_session=True,  # Ctrl-C is for the parent, which then stops the job in order
            )
        self._reader = threading.Thread(target=self._read, name="job", daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """Tell the job to save its state and end; returns at once."""
        self._stopping = True
        if self._process.poll() is None:
            self._process.terminate()
            kill = threading.Timer(grace(self.job), self._process.kill)
            kill.daemon = True
            kill.start()

    def join(self, timeout: float | None = None) -> None:
        """Wait until ``on_end`` was called."""
        self._reader.join(timeout)

    def _read(self) -> None:
        ending: Ending | None = None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already, which shows below
            self._process.stdin.write(json.dumps(to_dict(self.job)) + "\n")
            self._process.stdin.flush()
        for line in self._process.stdout:
            message = json.loads(line)
            if "progress" in message:
                self._on_progress(message["progress"])
            else:
                ending = Ending(**message)
        status = self._process.wait()
        with contextlib.suppress(ProcessLookupError):  # what the job started and left behind
            os.killpg(self._process.pid, signal.SIGKILL)
        if ending is None:
            ending = (
                Ending("stopped", "stopped before its state could be saved")
                if self._stopping
                else Ending("failed", f"its process ended without a word (exit status {status}); was memory short?")
            )
        self._on_end(ending)


def main() -> None:
    """The child: do the job that standard input describes."""
    # Libraries may print; the channel is ours alone.
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    job = from_dict(json.loads(sys.stdin.readline()))
    stop = threading.Event()
    interruptible = isinstance(job, CallJob) and not job.polls

    def on_signal(*_: object) -> None:
        nonlocal interruptible
        stop.set()
        if interruptible:
            interruptible = False  # what it does now is cleaning up, which further signals do not disturb
            raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)

    main_thread = threading.get_ident()

    def watch() -> None:
        sys.stdin.read()
        signal.pthread_kill(main_thread, signal.SIGTERM)  # in another thread it would not wake what is waiting
        # A parent that was killed cannot kill us any more.
        threading.Timer(2 * grace(job), os._exit, args=(1,)).start()

    threading.Thread(target=watch, daemon=True).start()

    def send(message: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # the parent was killed, of which ``watch`` hears
            channel.write(json.dumps(message) + "\n")
            channel.flush()

    try:
        result = run(job, lambda report: send({"progress": report}), stop.is_set)
        last = {"how": "finished" if result["finished"] else "stopped", "result": result}
    except KeyboardInterrupt:
        last = {"how": "stopped", "message": "interrupted"}
    except JobRefused as error:
        last = {"how": "refused", "message": str(error)}
    except Exception as error:
        traceback.print_exc()
        last = {"how": "failed", "message": f"{type(error).__name__}: {error}"}
    interruptible = False
    send(last)
    # Not through the interpreter's end: a watching thread still reads standard input there.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
