"""Success predicates of the tabletop, and a dense reward.

Both are functions of the state vector, so a recording can be judged by the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from polytask_suites.tabletop.parts import CUP
from polytask_suites.tabletop.scene import SCENES, Scene
from polytask_suites.tabletop.state import index_of, state_names

State = npt.NDArray[np.float32]
Index = Mapping[str, int]
SuccessPredicate = Callable[[State], tuple[bool, float, str]]
"""(done now, reward in [0, 1], a few words on how far it is)."""

POURED = 0.7
"""Share of the grains that has to be in the bowl."""
_UPRIGHT_SIDE = 1.0 - 0.9**2  # R33 > 0.9, said by the two other entries of the axis


def _group(index: Index, name: str) -> slice:
    first = index[f"{name}.x"]
    return slice(first, first + 3)


def _near(distance: float) -> float:
    return float(np.exp(-distance / 0.1))


def _drawer(index: Index, drawer: str, is_open: bool) -> SuccessPredicate:
    handle, opening = _group(index, f"{drawer}_handle"), index[f"{drawer}.opening"]

    def predicate(state: State) -> tuple[bool, float, str]:
        o = float(state[opening])
        done = o > 0.135 if is_open else o < 0.015
        part = np.clip(o / 0.14 if is_open else 1.0 - o / 0.16, 0.0, 1.0)
        reward = 1.0 if done else 0.3 * _near(float(np.linalg.norm(state[handle]))) + 0.6 * float(part)
        return done, reward, f"drawer open {100 * o:.1f} cm"

    return predicate


def _box_open(index: Index, lid: str) -> SuccessPredicate:
    handle, turned = _group(index, f"{lid}_handle"), index[f"{lid}.angle"]

    def predicate(state: State) -> tuple[bool, float, str]:
        angle = float(state[turned])
        done = angle > 1.05
        near = _near(float(np.linalg.norm(state[handle])))
        reward = 1.0 if done else 0.3 * near + 0.6 * float(np.clip(angle / 1.05, 0.0, 1.0))
        return done, reward, f"lid at {angle:.2f} rad"

    return predicate


def _peg(index: Index, cup: str) -> SuccessPredicate:
    where, up = _group(index, f"cup_{cup}"), index[f"cup_{cup}.up_x"]

    def predicate(state: State) -> tuple[bool, float, str]:
        x, y, rim = (float(v) for v in state[where])
        side = float(np.hypot(x, y))
        upright = float(state[up] ** 2 + state[up + 1] ** 2) < _UPRIGHT_SIDE
        done = side < CUP.radius and rim >= 0.02 and upright
        reward = 1.0 if done else (0.5 * _near(side) + 0.4 * _near(abs(rim - 0.02))) * float(upright)
        return done, reward, f"peg {100 * side:.1f} cm beside the {cup} cup's axis, {100 * rim:.1f} cm under its rim"

    return predicate


def _reach(index: Index) -> SuccessPredicate:
    target = _group(index, "reach_target")

    def predicate(state: State) -> tuple[bool, float, str]:
        distance = float(np.linalg.norm(state[target]))
        done = distance < 0.02
        return done, 1.0 if done else 0.9 * _near(distance), f"{100 * distance:.1f} cm from the target"

    return predicate


def _pour(index: Index, bowl: str) -> SuccessPredicate:
    where, grains = _group(index, bowl), index[f"{bowl}.grains"]

    def predicate(state: State) -> tuple[bool, float, str]:
        share = float(state[grains])
        done = share >= POURED
        reward = 1.0 if done else 0.3 * _near(float(np.hypot(*state[where][:2]))) + 0.6 * share
        return done, reward, f"{100 * share:.0f} % of the grains in the bowl"

    return predicate


def _predicates(scene: Scene) -> dict[str, SuccessPredicate]:
    """Of all tasks that a scene admits."""
    index = index_of(state_names(scene))
    predicates = {"reach": _reach(index)}
    for side in scene.cabinets:
        predicates[f"drawer-open{side}"] = _drawer(index, f"drawer{side}", True)
        predicates[f"drawer-close{side}"] = _drawer(index, f"drawer{side}", False)
    for side in scene.boxes:
        predicates[f"box-open{side}"] = _box_open(index, f"lid{side}")
    for cup in scene.cups:
        predicates[f"peg-{cup}"] = _peg(index, cup)
    for bowl in scene.bowls:
        predicates[bowl.replace("bowl", "pour")] = _pour(index, bowl)
    return {name.replace("_", "-"): predicate for name, predicate in predicates.items()}


SUCCESS_PREDICATES: Mapping[str, Mapping[str, SuccessPredicate]] = {
    name: _predicates(scene) for name, scene in SCENES.items()
}
"""By suite and task; a scene may admit more tasks than its suite lists."""
