"""Sentences to vectors."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from polytask_policy.text import EMBEDDING_SIZE, TextEncoder
from polytask_policy.text_process import TextProcess, _start

SENTENCES = [
    "open the drawer",
    "Put the peg into the GREEN cup, please!",
    "",
    "ünïcode 中文 12 🙂",
    "a very long sentence " * 100,
]


def test_vectors_have_length_one_and_do_not_depend_on_the_neighbours(text: TextEncoder) -> None:
    together = text.encode(SENTENCES)
    assert together.shape == (len(SENTENCES), EMBEDDING_SIZE)
    assert together.dtype == np.float32
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    alone = np.concatenate([text.encode([sentence]) for sentence in SENTENCES])
    assert np.allclose(together, alone, atol=1e-5)


def test_preloading_in_the_background_serves_the_same_vectors(text: TextEncoder) -> None:
    other = TextEncoder()
    thread = other.preload()
    assert np.array_equal(other.encode(["raise the lid"]), text.encode(["raise the lid"]))
    thread.join()


def test_a_process_of_its_own_gives_the_same_vectors_also_after_one_that_was_killed(text: TextEncoder) -> None:
    remote = TextProcess()
    killed = remote._child = _start()
    killed.kill()
    killed.wait()
    try:
        assert np.array_equal(remote.encode(SENTENCES), text.encode(SENTENCES))
    finally:
        remote.close()


def test_the_process_ends_with_its_parent() -> None:
    parent = (
        "import os, signal; from polytask_policy.text_process import _start; "
        "print(_start().pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    child = int(subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True).stdout)
    deadline = time.monotonic() + 10
    while _alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
