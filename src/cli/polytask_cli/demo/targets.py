"""Targets of the demo, in one table. Measured values never appear here."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

PERCENT, MINUTES, MILLISECONDS, COUNT = "%", "min", "ms", ""


@dataclass(frozen=True)
class Target:
    """One figure: what it is, and where the line lies. ``limit`` is in SI units or a share in [0, 1]."""

    key: str
    name: str
    sense: str
    """">=", "<=" or "==": how the measured value must stand to the limit."""
    limit: float
    unit: str
    """How it is shown: "%" (of a share), "min" (of seconds), "ms" (of seconds) or "" (a plain number)."""
    tried: str = ""
    """For when it is missed: what has been tried about it."""

    def reached(self, value: float) -> bool:
        """Whether a measured value is on the right side of the limit."""
        compare: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}
        return compare[self.sense](value, self.limit)

    def show(self, value: float) -> str:
        """A value of this figure for a person."""
        if self.unit == PERCENT:
            return f"{100 * value:.1f} %"
        if self.unit == MINUTES:
            return f"{value / 60:.1f} min"
        if self.unit == MILLISECONDS:
            return f"{1000 * value:.1f} ms"
        return f"{value:g}"

    @property
    def must(self) -> str:
        """The limit for a person."""
        sign = {"<=": "≤", ">=": "≥", "==": "="}[self.sense]
        shown = f"{100 * self.limit:g} %" if self.unit == PERCENT else f"{self.limit:g}"
        if self.unit in (MINUTES, MILLISECONDS):
            shown = f"{self.limit / 60 if self.unit == MINUTES else 1000 * self.limit:g} {self.unit}"
        return f"{sign} {shown}"


_QUICK_ANSWERS = (
    "Tried so far: the events executor, the state published before its picture is drawn, goals encoded beside the "
    "control loop, the garbage collector kept out of it, a tick that restarts with each reset; what remains is mostly "
    "other programs on the same cores"
)
_QUICK_STEPS = (
    "Tried so far: the events executor, messages filled in place, pictures only for who wants them; a step needs three "
    "processes to wake up in turn, so other programs on the same cores cost it more than one process"
)
WALL = Target("wall", "wall time of the whole demo", "<=", 900.0, MINUTES)
WALL_QUICK = Target("wall", "wall time of the quick demo", "<=", 300.0, MINUTES)
TARGETS: dict[str, Target] = {
    target.key: target
    for target in (
        Target("demonstrations", "demonstrations per task, recorded over the topics", "==", 1, COUNT),
        Target("experts", "experts, OT reward only: mean", ">=", 0.85, PERCENT),
        Target("words", "one policy asked in words: mean", ">=", 0.85, PERCENT),
        Target("words_worst", "… weakest task", ">=", 0.70, PERCENT),
        Target("image", "one policy asked by picture: mean", ">=", 0.85, PERCENT),
        Target("image_worst", "… weakest task", ">=", 0.70, PERCENT),
        Target("name", "one policy asked by name: mean", ">=", 0.85, PERCENT),
        Target("name_worst", "… weakest task", ">=", 0.70, PERCENT),
        Target("heldout", "sentences never trained on", ">=", 0.80, PERCENT),
        Target("nogoal", "control: no goal, the same starts", "<=", 0.35, PERCENT),
        Target("other", "control: another task from the same start", ">=", 0.80, PERCENT),
        Target("latency", "observation → command, with camera: p99", "<=", 0.010, MILLISECONDS, _QUICK_ANSWERS),
        Target("overrun", "longest overrun of a control period", "<=", 0.5, PERCENT, _QUICK_ANSWERS),
        Target("lockstep", "lock-step through ROS, of the speed in process", ">=", 0.5, PERCENT, _QUICK_STEPS),
    )
}


def wall_target(quick: bool) -> Target:
    """The limit of the wall time."""
    return WALL_QUICK if quick else WALL
