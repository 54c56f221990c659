"""Features on which trajectories are compared: relations declared in a task's suite file.

A task lists what matters to it as relations between named state entries, for example::

    features:
      - {name: hand, kind: value, entries: [drawer_handle.x, drawer_handle.y, drawer_handle.z], scale: 0.1}
      - {name: opened, kind: displacement, entries: [drawer.opening], scale: 0.05}
      - {name: gap, kind: difference, entries: [cup.x, cup.y], minus: [peg.x, peg.y], scale: 0.1}

``value`` is the entries themselves, ``difference`` the entries less those of ``minus``, ``displacement`` the entries
less their values at the first frame. Each is divided by ``scale`` (in the entries' unit): a distance of one in the
matching cost is one scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS = ("value", "difference", "displacement")


class FeatureError(ValueError):
    """A declared feature is wrong; says which, why and what is there."""


@dataclass(frozen=True)
class Relation:
    """One declared feature: columns of the state, how they are related, and the scale."""

    name: str
    kind: str
    entries: tuple[int, ...]
    minus: tuple[int, ...]
    scale: float

    def __call__(self, states: NDArray[np.float32]) -> NDArray[np.float64]:
        """Values float64 (T, m) of the relation along a trajectory float32 (T, n)."""
        values = states[:, self.entries].astype(np.float64)
        if self.kind == "difference":
            values = values - states[:, self.minus]
        elif self.kind == "displacement":
            values = values - values[:1]
        return values / self.scale


@dataclass(frozen=True)
class Features:
    """All features of a task, stacked in the order of their declaration."""

    relations: tuple[Relation, ...]

    def __call__(self, states: NDArray[np.float32]) -> NDArray[np.float64]:
        """Features float64 (T, d) of a trajectory float32 (T, n)."""
        return np.concatenate([relation(states) for relation in self.relations], axis=1)


def parse_features(declared: Sequence[Mapping[str, Any]], state_names: Sequence[str]) -> Features:
    """Read a task's ``features`` list against the state's names. Raises FeatureError."""
    if not declared:
        raise FeatureError("the task declares no features, which the matching reward needs; add them to the suite file")
    return Features(tuple(_parse(entry, state_names) for entry in declared))


def absolute_features(state_names: Sequence[str], scale: float = 0.1) -> Features:
    """The whole state over one scale: no choice of what matters (for the ablation)."""
    return Features((Relation("state", "value", tuple(range(len(state_names))), (), scale),))


def _parse(entry: Mapping[str, Any], state_names: Sequence[str]) -> Relation:
    name = str(entry.get("name", "?"))
    unknown = set(entry) - {"name", "kind", "entries", "minus", "scale"}
    if unknown:
        raise FeatureError(f"feature '{name}': unknown keys {sorted(unknown)}")
    kind = entry.get("kind")
    if kind not in KINDS:
        raise FeatureError(f"feature '{name}': kind must be one of {', '.join(KINDS)}, not {kind!r}")
    entries = _columns(name, entry.get("entries", ()), state_names)
    minus = _columns(name, entry.get("minus", ()), state_names)
    if not entries:
        raise FeatureError(f"feature '{name}': entries is empty")
    if len(minus) != (len(entries) if kind == "difference" else 0):
        raise FeatureError(f"feature '{name}': minus needs as many entries as entries, for a difference only")
    try:
        scale = float(entry["scale"])
    except (KeyError, TypeError, ValueError):
        raise FeatureError(f"feature '{name}': scale is missing or not a number") from None
    if not (np.isfinite(scale) and scale > 0.0):
        raise FeatureError(f"feature '{name}': scale must be positive and finite, not {scale}")
    return Relation(name, kind, entries, minus, scale)


def _columns(feature: str, names: Sequence[str], state_names: Sequence[str]) -> tuple[int, ...]:
    missing = [name for name in names if name not in state_names]
    if missing:
        raise FeatureError(
            f"feature '{feature}': the state has no {', '.join(missing)}; it has: {', '.join(state_names)}"
        )
    return tuple(list(state_names).index(name) for name in names)
