"""Goals, and the refusal of what resembles nothing that was taught."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

WORDS, PICTURE, TASK, NONE = "words", "image", "task", "none"
LONGEST_SENTENCE = 500
QUOTED = 100
"""Characters of a client's text that an answer repeats."""
NEGATION = re.compile(r"\b(?:not|never|don['’]?t|won['’]?t|\w+n['’]t)\b", re.IGNORECASE)


class UnknownGoal(Exception):
    """A goal this policy cannot follow.

    Attributes:
        reason: what is wrong and what to do instead, for a person.
        task: the nearest taught task, empty where there is none.
        similarity: to that task, in [-1, 1].

    """

    def __init__(self, reason: str, task: str = "", similarity: float = 0.0) -> None:
        """Keep the reason, the nearest task and the similarity."""
        super().__init__(reason)
        self.reason = reason
        self.task = task
        self.similarity = similarity


@dataclass(frozen=True, eq=False)
class Goal:
    """A goal in the goal space.

    Attributes:
        kind: "words", "image", "task" or "none".
        embedding: float32 (64,).
        task: the nearest taught task; empty for kind "none".
        similarity: of the goal to that task, in [-1, 1]; 1 for a task name. For words the cosine to the nearest taught
            sentence of that task, for a picture the correlation with its nearest taught picture.

    """

    kind: str
    embedding: NDArray[np.float32]
    task: str
    similarity: float


def quoted(text: str) -> str:
    """Return a client's text in quotes: what does not print is escaped, and of a long one the beginning is shown."""
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text[:QUOTED])
    return f"'{shown}'" if len(text) <= QUOTED else f"'{shown}…' ({len(text)} characters)"


def sentence_fault(words: str) -> str | None:
    """Say why ``words`` (stripped) cannot be a goal, whatever was taught; None when they can.

    Negations are refused because sentence vectors hardly see them: "do not open the box" lies next to "open the box".
    """
    if not words:
        return "the goal is empty"
    if len(words) > LONGEST_SENTENCE:
        return f"a sentence of {len(words)} characters; at most {LONGEST_SENTENCE} are read"
    if not any(character.isalpha() for character in words):
        return f"{quoted(words)} holds no words"
    negation = NEGATION.search(words)
    if negation is not None:
        return f"{quoted(words)} says what should not be ('{negation.group()}'), which is not understood"
    return None


@dataclass(frozen=True)
class Limits:
    """Thresholds below which a goal is refused, from measurements: docs/results/README.md has what is refused wrongly.

    Attributes:
        words_similarity: least cosine between a sentence and the nearest taught one.
        words_margin: least lead of the nearest task over the second nearest in the goal space.
        picture_similarity: least correlation of a picture with the nearest taught one.
        picture_margin: as words_margin, for pictures.

    """

    words_similarity: float = 0.62
    words_margin: float = 0.35
    picture_similarity: float = 0.6
    picture_margin: float = 0.1


class Examples:
    """Taught examples of one goal kind as unit vectors, each belonging to a task."""

    def __init__(self, vectors: Tensor, tasks: Tensor, count: int) -> None:
        """Keep unit ``vectors`` (M, F) with task numbers int64 (M,) in 0..count-1; every task has an example."""
        missing = sorted(set(range(count)) - set(tasks.tolist()))
        if missing:
            raise ValueError(f"no example for task number {missing[0]}")
        self._vectors = vectors
        self._tasks = tasks
        self._count = count

    def similarities(self, vector: Tensor) -> list[float]:
        """Return for each task the cosine between ``vector`` (F,) and its nearest example."""
        cosines = (self._vectors @ vector).clamp(-1, 1)
        return [float(cosines[self._tasks == task].max()) for task in range(self._count)]


def picture_vectors(pictures: Tensor) -> Tensor:
    """Turn pictures (B, 3, S, S) into unit vectors whose product is the pictures' correlation.

    The mean colour is taken off, so light and exposure count little and a blank picture becomes the zero vector, which
    resembles nothing.
    """
    centred = pictures - pictures.mean(dim=(2, 3), keepdim=True)
    return functional.normalize(centred.flatten(1), dim=-1, eps=1e-3)


@dataclass(frozen=True)
class Recognition:
    """How a goal was understood: nearest and second nearest task number in the goal space, and how near."""

    nearest: int
    second: int | None
    similarity: float
    margin: float


def recognise(in_goal_space: Tensor, to_examples: Sequence[float]) -> Recognition:
    """Combine cosines to the tasks' prototypes (K,) with similarities to the tasks' examples (K,).

    What the policy will do is decided in the goal space, so nearest and margin come from there; whether the goal looks
    like anything taught is seen in the examples.
    """
    order = torch.argsort(in_goal_space, descending=True).tolist()
    nearest = order[0]
    second = order[1] if len(order) > 1 else None
    margin = 2.0 if second is None else float(in_goal_space[nearest] - in_goal_space[second])
    return Recognition(nearest, second, to_examples[nearest], margin)
