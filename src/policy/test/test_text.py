"""Sentences to vectors."""

from __future__ import annotations

import numpy as np

from polytask_policy.text import EMBEDDING_SIZE, TextEncoder

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
