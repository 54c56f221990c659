"""A job in a process of its own: callbacks of the one that asked never wait, and the job can always be ended.

The parent side is :class:`Worker`. The child is this module run as a program: it reads the job as one line of JSON on
standard input and writes lines of JSON to standard output. It stops when told by a signal, and when its standard input
closes, so that it never outlives a parent that was killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polytask_trainer.jobs.execute import run
from polytask_trainer.jobs.spec import EvaluateJob, Job, JobRefused, from_dict, to_dict

GRACE = 2.5
"""s a job with a small state is given to save it when told to stop; see :func:`grace`."""
SAVING = 40e6
"""Bytes/s at which a state is saved at least: 960 MB took 10 to 14 s on a busy machine (load 6 on two cores)."""


def grace(job: Job) -> float:
    """Seconds a job is given to save its state, by the size of the one that it saved last.

    Then it is killed, and resumes from its last checkpoint.
    """
    if isinstance(job, EvaluateJob):
        return GRACE
    training = Path(job.output).expanduser() / "training"
    return GRACE + sum(file.stat().st_size for file in training.rglob("*.safetensors")) / SAVING


@dataclass(frozen=True)
class Ending:
    """How a job ended: ``finished``, ``stopped``, ``refused`` or ``failed``."""

    how: str
    message: str = ""
    result: dict[str, Any] = field(default_factory=dict)


class Worker:
    """Runs one job; ``on_progress`` and ``on_end`` (once) are called in a thread of the worker's."""

    def __init__(
        self, job: Job, on_progress: Callable[[dict[str, Any]], None], on_end: Callable[[Ending], None]
    ) -> None:
        """Start the job."""
        self.job = job
        self._on_progress, self._on_end = on_progress, on_end
        self._stopping = False
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "polytask_trainer.jobs.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads},
            start_new_session=True,  # Ctrl-C is for the parent, which then stops the job in order
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(to_dict(job)) + "\n")
        self._process.stdin.flush()
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
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if "progress" in message:
                self._on_progress(message["progress"])
            else:
                ending = Ending(**message)
        status = self._process.wait()
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
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    job = from_dict(json.loads(sys.stdin.readline()))

    def watch() -> None:
        sys.stdin.read()
        stop.set()
        # A parent that was killed cannot kill us any more.
        threading.Timer(2 * grace(job), os._exit, args=(1,)).start()

    threading.Thread(target=watch, daemon=True).start()

    def send(message: dict[str, Any]) -> None:
        try:
            channel.write(json.dumps(message) + "\n")
            channel.flush()
        except BrokenPipeError:
            stop.set()

    import torch

    torch.set_num_threads(1)
    try:
        result = run(job, lambda report: send({"progress": report}), stop.is_set)
        how = "finished" if result["finished"] else "stopped"
        send({"how": how, "result": result})
    except JobRefused as error:
        send({"how": "refused", "message": str(error)})
    except Exception as error:
        traceback.print_exc()
        send({"how": "failed", "message": f"{type(error).__name__}: {error}"})
    # Not through the interpreter's end: a watching thread still reads standard input there.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
