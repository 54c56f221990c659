"""Sentences to vectors."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from polytask_policy import text_process
from polytask_policy.text import EMBEDDING_SIZE, TextEncoder, TextModelError
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


def test_a_process_of_its_own_gives_the_same_vectors_also_after_one_that_was_killed(text: TextEncoder) -> None:
    remote = TextProcess()
    killed = remote._child = _start()
    killed.kill()
    killed.wait()
    try:
        assert np.array_equal(remote.encode(SENTENCES), text.encode(SENTENCES))
    finally:
        remote.close()


FAKE = """
import json, os, signal, sys
how = sys.argv[1]
if how == "never loads": signal.pause()
if how == "cannot load": print(json.dumps({"error": "no such model"}), flush=True); sys.exit()
if how == "dies loading": os.kill(os.getpid(), signal.SIGKILL)
print("{}", flush=True)
for line in sys.stdin:
    if how == "stops": os.kill(os.getpid(), signal.SIGSTOP)
    if how == "dies": os.kill(os.getpid(), signal.SIGKILL)
    if how == "raves": print("[1, 2" if "odd" in line else "5", flush=True); continue
    print(json.dumps({"vectors": [[1.0] + [0.0] * 383 for _ in json.loads(line)]}), flush=True)
"""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], TextProcess]]:
    """``fake(how)``: with a child that behaves so, and fails after 1 s of loading and 0.5 s of an answer."""
    monkeypatch.setattr(text_process, "model_folder", Path)
    remote = TextProcess(loading=1.0, answering=0.5)

    def make(how: str) -> TextProcess:
        monkeypatch.setattr(text_process, "CHILD", [sys.executable, "-S", "-c", FAKE, how])
        return remote

    yield make
    remote.close()


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("never loads", "did not load the text model within 1 s"),
        ("cannot load", "no such model"),
        ("dies loading", "ended in mid-answer"),
        ("stops", "did not encode a sentence within 0.5 s"),
        ("dies", "ended in mid-answer"),
        ("raves", "ended in mid-answer"),
    ],
)
def test_a_child_that_fails_is_ended_in_time_and_the_next_sentence_starts_another(
    fake: Callable[[str], TextProcess], how: str, reason: str
) -> None:
    remote = fake(how)
    began = time.monotonic()
    with pytest.raises(TextModelError, match=reason):
        remote.encode(["open the drawer"])
    assert time.monotonic() - began < 30
    assert not remote.alive
    vectors = fake("works").encode(["open the drawer", "close it"])
    assert vectors.shape == (2, EMBEDDING_SIZE)
    assert remote.alive


def test_a_child_that_was_stopped_while_nobody_asked_is_replaced(fake: Callable[[str], TextProcess]) -> None:
    remote = fake("works")
    remote.encode(["open the drawer"])
    child = remote._child
    assert child is not None
    child.send_signal(signal.SIGSTOP)
    with pytest.raises(TextModelError, match=r"within 0\.5 s"):
        remote.encode(["open the drawer"])
    assert child.poll() == -signal.SIGKILL
    assert remote.encode(["open the drawer"]).shape == (1, EMBEDDING_SIZE)


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
