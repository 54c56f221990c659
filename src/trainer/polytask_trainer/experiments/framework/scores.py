"""Scores over tasks and seeds, with intervals by stratified bootstrap (Agarwal et al. 2021, the package rliable)."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPETITIONS = 5000
"""Bootstrap samples."""
Statistic = Callable[[NDArray[np.float64]], float]
"""Of scores (seeds, tasks) or (seeds, tasks, kinds)."""


@dataclass(frozen=True)
class Estimate:
    """A figure over all tasks and ``seeds`` seeds; without a second seed there is no interval."""

    value: float
    low: float | None
    high: float | None
    seeds: int

    def __str__(self) -> str:
        """As it stands in a table."""
        return f"{self.value:.3f}" + ("" if self.low is None else f" [{self.low:.3f}, {self.high:.3f}]")


class Scores:
    """One number for each (what, task, seed), of which some may be missing yet."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str, int], float] = {}

    def add(self, what: str, task: str, seed: int, value: float) -> None:
        """Take a score; ``what`` is the policy or the kind of goal."""
        self._values[what, task, seed] = value

    def tasks(self) -> list[str]:
        """Tasks of which there is a score, in the order in which they came."""
        return list(dict.fromkeys(task for _, task, _ in self._values))

    def of(self, what: str, task: str) -> list[float]:
        """Scores of all seeds that there are."""
        return [value for (w, t, _), value in self._values.items() if (w, t) == (what, task)]

    def rows(self) -> list[dict[str, Any]]:
        """One for each score, for a CSV file."""
        return [{"what": w, "task": t, "seed": s, "success": v} for (w, t, s), v in self._values.items()]

    def within(self, task: str) -> Scores:
        """Those of one task alone."""
        found = Scores()
        found._values = {key: value for key, value in self._values.items() if key[1] == task}
        return found

    def matrix(self, whats: Sequence[str]) -> NDArray[np.float64]:
        """Return (seeds, tasks, whats) of the seeds that have all of them."""
        tasks = self.tasks()
        seeds = sorted({seed for _, _, seed in self._values})
        full = [s for s in seeds if all((w, t, s) in self._values for w in whats for t in tasks)]
        shape = (len(full), len(tasks), len(whats))
        return np.array([self._values[w, t, s] for s in full for t in tasks for w in whats]).reshape(shape)

    def mean(self, what: str) -> Estimate | None:
        """Mean over tasks and seeds; None where no seed is complete."""
        return estimate(self.matrix([what]), lambda scores: float(scores.mean()))

    def ratio(self, what: str, to: str) -> Estimate | None:
        """Mean of ``what`` over the mean of ``to``; None where no seed is complete or nothing ever succeeded."""
        scores = self.matrix([what, to])
        if scores.size == 0 or scores[..., 1].mean() == 0.0:
            return None
        return estimate(scores, lambda s: float(s[..., 0].mean() / max(float(s[..., 1].mean()), 1e-9)))

    def gap(self, whats: Sequence[str]) -> Estimate | None:
        """Largest difference between the means of ``whats``."""
        return estimate(self.matrix(whats), lambda s: float(np.ptp(s.mean(axis=(0, 1)))))


def estimate(scores: NDArray[np.float64], statistic: Statistic) -> Estimate | None:
    """``statistic`` of scores (seeds, tasks, ...) with its 95 % interval.

    Seeds are drawn anew for each task, and what belongs to a seed and task is drawn together: a policy and the expert
    that it was distilled from share their luck, which must not widen the interval of their ratio.
    """
    if len(scores) == 0:
        return None
    if len(scores) == 1:
        return Estimate(statistic(scores), None, None, 1)
    from rliable import library  # type: ignore[import-untyped]

    seeds, tasks = np.indices(scores.shape[:2])
    with warnings.catch_warnings(), _drawn_alike():
        warnings.simplefilter("ignore", FutureWarning)  # rliable hands arch a RandomState
        points, intervals = library.get_interval_estimates(
            {"it": seeds},
            lambda drawn: np.array([statistic(scores[drawn, tasks])]),
            reps=REPETITIONS,
        )
    low, high = intervals["it"][:, 0]
    return Estimate(float(points["it"][0]), float(low), float(high), len(scores))


@contextlib.contextmanager
def _drawn_alike() -> Iterator[None]:
    """NumPy's global generator from a seed; as before afterwards."""
    # rliable 1.2.0 (the newest) passes its random_state on to arch, but draws with np.random.choice.
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)


def share(values: Iterable[float]) -> str:
    """Mean of the seeds' scores for a table; – where there is none."""
    found = list(values)
    return f"{np.mean(found):.2f}" if found else "–"


def score_table(scores: Scores, columns: Mapping[str, str]) -> str:
    """A row for each task, then the mean with its interval; ``columns``: title by what."""
    from polytask_trainer.experiments.framework.report import table

    rows = [[task, *(share(scores.of(what, task)) for what in columns)] for task in scores.tasks()]
    means = [scores.mean(what) for what in columns]
    rows.append(["**mean**", *("–" if mean is None else str(mean) for mean in means)])
    return table(["task", *columns.values()], rows)


def verdict(what: str, found: Estimate | None, reached: bool, must: str) -> str:
    """A line that says whether a target was reached."""
    if found is None:
        return f"- {what}: must be {must}; not measured yet, or what it is compared with never succeeded"
    seeds = "one seed, so no interval" if found.seeds == 1 else f"{found.seeds} seeds"
    return f"- {what}: **{found}**, must be {must}: {'reached' if reached else 'missed'} ({seeds})"


def bars(axes: Any, scores: Scores, columns: Mapping[str, str]) -> None:
    """Success of each task as a group of bars, the seeds as dots on them."""
    tasks, width = scores.tasks(), 0.8 / len(columns)
    for number, (what, title) in enumerate(columns.items()):
        places = np.arange(len(tasks)) + (number - (len(columns) - 1) / 2) * width
        axes.bar(places, [np.mean(scores.of(what, task) or [0.0]) for task in tasks], width, label=title)
        for place, task in zip(places, tasks, strict=True):
            own = scores.of(what, task)
            axes.plot([place] * len(own), own, ".", color="black", markersize=3)
    axes.set_xticks(range(len(tasks)), tasks, rotation=30, ha="right", fontsize=7)
    axes.set_ylim(0, 1.05)
    axes.set_ylabel("success")
    axes.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
