"""Dynamics of the houses: omnidirectional bases, hands that grasp by touch, doors that are pulled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask_suites.batch import Indices, Vector, Which
from polytask_suites.pocket_house import geometry, layout
from polytask_suites.pocket_house.layout import CABINET, FRIDGE, NOTHING, OBJECT, OPEN, RADIUS
from polytask_suites.pocket_house.maps import ANGLES, COARSE, FINE, SOLID, cell, maps

SPEED, TURN = 0.75, 1.5
"""m/s forward and to the left, rad/s, that an action of 1 asks for."""
GRASP = 0.15
"""Metres within which a closed hand takes hold of what it touches."""
GRIP_TIME = 0.5
"""Seconds in which the hand closes or opens at full speed."""
SLIP = 0.3
"""Metres from a handle at which the hand loses it."""
_TOUCH = 1e-6
"""Metres by which a base may be in what it touches, for rounding."""
RAYS = 16
_BEAMS = 2.0 * np.pi * np.arange(RAYS) / RAYS

Bools = npt.NDArray[np.bool_]


class World:
    """The state of B houses: float64, metres and radians, unless said."""

    def __init__(self, count: int) -> None:
        self.base: Vector = np.zeros((count, 2))
        self.heading: Vector = np.zeros(count)
        self.velocity: Vector = np.zeros((count, 3))
        """Of the last step, in the base's axes: forward, left, turn."""
        self.hand: Vector = np.zeros((count, 2))
        self.closing: Vector = np.zeros(count)
        """How far the hand is closed, 0 open to 1; it holds what it can from the middle on."""
        self.held: Indices = np.zeros(count, np.int64)
        """NOTHING, OBJECT, or the handle of FRIDGE or CABINET."""
        self.opening: Vector = np.zeros((count, 2))
        """Of fridge and cabinet, 0 shut to 1."""
        self.inside: Indices = np.zeros(count, np.int64)
        """What the object is in: NOTHING, FRIDGE or CABINET."""
        self.thing: Vector = np.zeros((count, 2))
        self.goal: Vector = np.zeros((count, 2))
        self.beside_thing: Indices = np.zeros(count, np.int64)
        self.beside_goal: Indices = np.zeros(count, np.int64)
        """Coarse cells in which a base stands that reaches them."""

    def begin(self, which: Indices, values: Mapping[str, npt.NDArray[Any]]) -> None:
        """Puts these houses into the state that ``values`` holds by attribute, but for what follows from it."""
        for name, some in values.items():
            getattr(self, name)[which] = some
        self.velocity[which] = 0.0
        self.closing[which] = self.held[which] != NOTHING
        self.hand[which] = _hand(self.base[which], self.heading[which])
        self._carry()

    def act(self, actions: Vector, period: float) -> None:
        """A step of ``period`` seconds with actions (B, 4) in [-1, 1]."""
        self._move_hands(actions[:, 3], period)
        self._drive(actions[:, :3] * (SPEED, SPEED, TURN), period)
        self._pull()
        self._grip()
        self._carry()

    @property
    def closed(self) -> Bools:
        """Whether the hand is, bool (B,)."""
        return self.closing > 0.5

    def _move_hands(self, speed: Vector, period: float) -> None:
        self.closing = np.clip(self.closing + speed * period / GRIP_TIME, 0.0, 1.0)
        let_go = ~self.closed & (self.held == OBJECT)
        self.beside_thing[let_go] = cell(self.base[let_go], COARSE)
        self.held[~self.closed] = NOTHING

    def _drive(self, speeds: Vector, period: float) -> None:
        """Moves the bases, which slide along what they touch."""
        before, middle = self.base, self.heading + period * speeds[:, 2] / 2.0
        cosine, sine = np.cos(middle), np.sin(middle)
        forward, left = period * speeds[:, 0], period * speeds[:, 1]
        door = layout.handles(self.opening)[0][:, 0]
        base = before + np.stack([forward * cosine - left * sine, forward * sine + left * cosine], axis=1)
        for _ in range(2):
            base = _pushed(base, geometry.from_boxes(base, SOLID))
            base = _pushed(base, geometry.from_segment(base, layout.HINGE, door))
        free = geometry.length(geometry.from_boxes(base, SOLID)) > RADIUS - _TOUCH
        free &= geometry.length(geometry.from_segment(base, layout.HINGE, door)) > RADIUS - _TOUCH
        self.base = np.where(free[:, None], base, before)
        self.heading = (self.heading + period * speeds[:, 2] + np.pi) % (2.0 * np.pi) - np.pi
        moved = (self.base - before) / period
        self.velocity[:, 0] = moved[:, 0] * cosine + moved[:, 1] * sine
        self.velocity[:, 1] = moved[:, 1] * cosine - moved[:, 0] * sine
        self.velocity[:, 2] = speeds[:, 2]
        self.hand = _hand(self.base, self.heading)

    def _pull(self) -> None:
        """A handle that is held follows the hand along its way; it slips out of a hand that goes elsewhere."""
        which = np.flatnonzero(self.held > OBJECT)
        if not len(which):
            return
        container, row = self.held[which] - FRIDGE, np.arange(len(which))
        before = self.opening[which]
        places, ways = layout.handles(before)
        pull = ((self.hand[which] - places[row, container]) * ways[row, container]).sum(axis=1)
        opening = before.copy()
        opening[row, container] = np.clip(before[row, container] + pull / layout.PATHS[container], 0.0, 1.0)
        # The fridge's door does not go through the base.
        door = layout.handles(opening)[0][:, 0]
        blocked = geometry.length(geometry.from_segment(self.base[which], layout.HINGE, door)) < RADIUS
        blocked &= self.held[which] == FRIDGE
        opening[blocked] = before[blocked]
        self.opening[which] = opening
        lost = geometry.length(self.hand[which] - layout.handles(opening)[0][row, container]) > SLIP
        self.held[which[lost]] = NOTHING

    def _grip(self) -> None:
        """A closed, empty hand takes hold of the object, or else of a handle, that it touches."""
        which = np.flatnonzero(self.closed & (self.held == NOTHING))
        if not len(which):
            return
        hand, places = self.hand[which], layout.handles(self.opening[which])[0]
        took = np.full(len(which), NOTHING)
        for container in (CABINET, FRIDGE):
            took[geometry.length(hand - places[:, container - FRIDGE]) < GRASP] = container
        took[(geometry.length(hand - self.thing[which]) < GRASP) & ~self.shut_in(which)] = OBJECT
        self.held[which] = took
        self.inside[which[took == OBJECT]] = NOTHING

    def _carry(self) -> None:
        holding = self.held == OBJECT
        self.thing[holding] = self.hand[holding]

    def shut_in(self, which: Which) -> Bools:
        """Whether the object is behind a door that is not open, bool (·,)."""
        inside, opened = self.inside[which], self.opening[which] >= OPEN
        shut: Bools = ((inside == FRIDGE) & ~opened[:, 0]) | ((inside == CABINET) & ~opened[:, 1])
        return shut

    def scan(self, which: Which) -> Vector:
        """Metres float64 (·, RAYS) to what is round the base, counter-clockwise from straight ahead, at most SIGHT."""
        base, heading = self.base[which], self.heading[which]
        step = np.rint(heading * (ANGLES / (2.0 * np.pi))).astype(np.int64)
        angles = (step[:, None] + np.arange(RAYS) * (ANGLES // RAYS)) % ANGLES
        still = maps().ranges[cell(base, FINE)[:, None], angles]
        door = layout.handles(self.opening[which])[0][:, 0]
        seen: Vector = np.minimum(still, geometry.rays_to_segment(base, heading[:, None] + _BEAMS, layout.HINGE, door))
        return seen


def _pushed(base: Vector, off: Vector) -> Vector:
    """Bases (B, 2) pushed out of what they touch; ``off`` (B, 2) are the ways to them from the nearest of it."""
    distance = geometry.length(off)
    inwards = np.maximum(RADIUS - distance, 0.0) / np.maximum(distance, 1e-9)
    pushed: Vector = base + inwards[:, None] * off
    return pushed


def _hand(base: Vector, heading: Vector) -> Vector:
    """Where the hands (B, 2) are: straight ahead, pushed back by walls."""
    directions = layout.ahead(heading)
    reach = np.minimum(layout.REACH, geometry.ray_to_boxes(base, directions, layout.WALLS))
    hand: Vector = base + reach[:, None] * directions
    return hand
