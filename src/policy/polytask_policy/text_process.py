"""The text model in a process of its own, for those who must not wait: loading it holds Python's lock for seconds.

The parent side is :class:`TextProcess`. The child is this module run as a program: it says in a line of JSON that the
model is loaded, then reads lines of JSON (a list of sentences each) on standard input and answers each with one. It
ends when its standard input closes, so it never outlives its parent. One that does not answer in time is killed.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polytask_policy.text import EMBEDDING_SIZE, TextEncoder, TextModelError, model_folder

CHILD = [sys.executable, "-m", "polytask_policy.text_process"]
YIELDING = 5
"""Niceness of the child: a robot's control comes first."""


LOADING, ANSWERING = 300.0, 10.0
"""s that loading the model, and one answer, may take where nothing else is said."""


class TextProcess(TextEncoder):
    """A TextEncoder whose model is loaded, and whose sentences are encoded, in a child process."""

    def __init__(self, loading: float = LOADING, answering: float = ANSWERING) -> None:
        """Start nothing yet. ``loading``, ``answering``: s after which a child that says nothing is killed."""
        super().__init__()
        self._child: subprocess.Popen[str] | None = None
        self._loading, self._answering = loading, answering

    @property
    def alive(self) -> bool:
        """Whether the child is there; one that is stopped is."""
        return self._child is not None and self._child.poll() is None

    def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per sentence, float32 (B, 384); raises TextModelError, at the latest when time is up.

        Loads the model first where no child has; the next call starts anew after a failure.
        """
        with self._lock:
            if not self.alive:
                self.close()
                model_folder()  # raises where there is none
                self._child = _start()
                self._exchange("", self._loading, "load the text model")
            answer = self._exchange(json.dumps(list(sentences)) + "\n", self._answering, "encode a sentence")
        return np.asarray(answer["vectors"], dtype=np.float32).reshape(-1, EMBEDDING_SIZE)

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _exchange(self, line: str, seconds: float, what: str) -> dict[str, Any]:
        """Send the child a line, and return what it answers; ends it where it fails to, or takes too long."""
        child = self._child
        assert child is not None
        assert child.stdin is not None
        assert child.stdout is not None
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            child.kill()  # also one that is stopped; whoever reads or writes is then told

        timer = threading.Timer(seconds, expire)
        timer.start()
        try:
            child.stdin.write(line)
            child.stdin.flush()
            answer = json.loads(child.stdout.readline())
            if not isinstance(answer, dict):
                raise ValueError("it says what is no answer")
        except (OSError, ValueError) as error:
            self.close()
            why = f"did not {what} within {seconds:g} s" if expired.is_set() else f"ended in mid-answer ({error})"
            raise TextModelError(
                f"the process with the text model {why}; is memory short, or the machine busy? It is started anew: ask "
                "again (goals by name and by picture work meanwhile)"
            ) from error
        finally:
            timer.cancel()
        if "error" in answer:
            self.close()
            raise TextModelError(str(answer["error"]))
        return answer


def _start() -> subprocess.Popen[str]:
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    return subprocess.Popen(
        CHILD,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **threads},
        start_new_session=True,  # Ctrl-C is for the parent
    )


def main() -> None:
    """The child."""
    os.nice(YIELDING)
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries may print; the channel is ours alone
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            requests.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    encoder = TextEncoder()

    def say(answer: dict[str, object]) -> None:
        channel.write(json.dumps(answer) + "\n")
        channel.flush()

    try:
        encoder.encode(["warm up"])
        say({})
        while True:
            say({"vectors": encoder.encode(json.loads(requests.get())).tolist()})
    except TextModelError as error:
        say({"error": str(error)})


if __name__ == "__main__":
    main()
