"""The text model in a process of its own, for those who must not wait: loading it holds Python's lock for seconds.

The parent side is :class:`TextProcess`. The child is this module run as a program: it reads lines of JSON (a list of
sentences each) on standard input and answers each with one; it ends when its standard input closes, so it never
outlives its parent.
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

from polytask_policy.text import EMBEDDING_SIZE, TextEncoder, TextModelError

YIELDING = 5
"""Niceness of the child: a robot's control comes first."""


class TextProcess(TextEncoder):
    """A TextEncoder whose model is loaded, and whose sentences are encoded, in a child process."""

    def __init__(self) -> None:
        """Start nothing yet."""
        super().__init__()
        self._child: subprocess.Popen[str] | None = None

    def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per sentence, float32 (B, 384); raises TextModelError."""
        with self._lock:
            answer = self._ask(list(sentences))
        if "error" in answer:
            raise TextModelError(answer["error"])
        return np.asarray(answer["vectors"], dtype=np.float32).reshape(-1, EMBEDDING_SIZE)

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _ask(self, sentences: list[str]) -> dict[str, Any]:
        if self._child is None or self._child.poll() is not None:
            self._child = _start()
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.write(json.dumps(sentences) + "\n")
            self._child.stdin.flush()
            answer: dict[str, Any] = json.loads(self._child.stdout.readline())
            return answer
        except (OSError, ValueError) as error:
            self.close()
            raise TextModelError(
                f"the process with the text model ended in mid-answer ({error}); was memory short? Ask again: it is "
                "started anew"
            ) from error


def _start() -> subprocess.Popen[str]:
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    return subprocess.Popen(
        [sys.executable, "-m", "polytask_policy.text_process"],
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
    while True:
        sentences = json.loads(requests.get())
        try:
            answer: dict[str, object] = {"vectors": encoder.encode(sentences).tolist()}
        except TextModelError as error:
            answer = {"error": str(error)}
        channel.write(json.dumps(answer) + "\n")
        channel.flush()


if __name__ == "__main__":
    main()
