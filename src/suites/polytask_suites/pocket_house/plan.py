"""The oracle plan: which stage an episode is at, and how far the stage's end is."""

from __future__ import annotations

import numpy as np

from polytask_suites.batch import Indices, Vector, Which
from polytask_suites.pocket_house import geometry, layout
from polytask_suites.pocket_house.layout import CABINET, FRIDGE, OBJECT, OPEN
from polytask_suites.pocket_house.maps import COARSE, cell, maps, middles
from polytask_suites.pocket_house.world import World

STAGES = ("open-fridge", "open-cabinet", "pick-from-fridge", "pick", "place", "done")
"""Stages of a rearrangement; each but the last is called as the task that trains it."""
OPEN_FRIDGE, OPEN_CABINET, PICK_FROM_FRIDGE, PICK, PLACE, DONE = range(len(STAGES))
PARTS = np.array([0, 0, 1, 1, 2, 3])
"""How many of the three parts (open, pick, place) are behind, by stage."""

THERE = 0.2
"""Metres within which an object that is let go is at its goal."""
_LOOSE = 1.0
"""Metres that count while what is to be moved, a handle or the object on its way to the goal, is not held."""
_NEAR = 1.0
"""Metres up to which the hand's distance to what it wants counts, besides the base's way."""


def stage(world: World, which: Which) -> Indices:
    """What is to be done next to bring the object to its goal, int64 (·,), index into STAGES."""
    held, shut = world.held[which], world.shut_in(which)
    away = geometry.length(world.thing[which] - world.goal[which])
    found = np.full(len(held), PICK)
    found[world.inside[which] == FRIDGE] = PICK_FROM_FRIDGE
    found[shut & (world.inside[which] == FRIDGE)] = OPEN_FRIDGE
    found[shut & (world.inside[which] == CABINET)] = OPEN_CABINET
    found[held == OBJECT] = PLACE
    found[(away < THERE) & (held != OBJECT)] = DONE
    return found


def to_go(world: World, which: Which, now: Indices) -> Vector:
    """Metres, float64 (·,), to the end of the stages ``now``.

    The base's way round walls and furniture to where the stage takes place, the last metre of the hand, the rest of a
    handle's way, and _LOOSE. Dense rewards are its decrease.
    """
    opening = world.opening[which]
    wanted, beside = world.thing[which].copy(), world.beside_thing[which].copy()
    goal, beside_goal, opened = world.goal[which], world.beside_goal[which], opening[:, 0] >= OPEN
    placing, holding = now == PLACE, world.held[which] == OBJECT
    # What was let go elsewhere has to be fetched again.
    left = maps().way(middles(COARSE)[beside], beside_goal, opened) + _short(wanted - goal)
    rest = np.where(placing & ~holding, _LOOSE + left, 0.0)
    carrying = placing & holding
    wanted[carrying], beside[carrying] = goal[carrying], beside_goal[carrying]
    places = layout.handles(opening)[0]
    for container, one in enumerate((OPEN_FRIDGE, OPEN_CABINET)):
        at = now == one
        wanted[at] = places[at, container]
        beside[at] = cell(wanted[at] - layout.REACH * layout.ahead(layout.FACING[[container]]), COARSE)
        rest[at] = layout.PATHS[container] * np.maximum(OPEN - opening[at, container], 0.0)
        rest[at] += _LOOSE * (world.held[which][at] != FRIDGE + container)
    way = maps().way(world.base[which], beside, opened)
    metres: Vector = np.where(now == DONE, 0.0, way + _short(world.hand[which] - wanted) + rest)
    return metres


def _short(offs: Vector) -> Vector:
    """Lengths (·,) of ways (·, 2), at most _NEAR."""
    lengths: Vector = np.minimum(geometry.length(offs), _NEAR)
    return lengths
