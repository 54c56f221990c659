"""The house: walls, furniture, what can be opened, and where objects lie. Metres; x to the right, y up in a picture."""

from __future__ import annotations

import numpy as np

from polytask_suites.batch import Vector

HALF_WIDTH, HALF_HEIGHT = 4.0, 3.0
"""The house reaches from minus to plus these."""
RADIUS = 0.25
"""Of the robot's base."""
REACH = 0.5
"""From the base's centre to the hand, which is straight ahead; walls push it back."""

NOTHING, OBJECT, FRIDGE, CABINET = range(4)
"""What a hand holds, and what an object is in."""

ROOMS: dict[str, tuple[float, float, float, float]] = {
    "bedroom": (-4.0, 0.0, -0.5, 3.0),
    "kitchen": (-0.5, 0.0, 4.0, 3.0),
    "living room": (-4.0, -3.0, 1.0, 0.0),
    "study": (1.0, -3.0, 4.0, 0.0),
}
"""Left, bottom, right, top, as everywhere below."""

WALLS: Vector = np.array([
    (-4.00, -3.00, -3.95, 3.00), (3.95, -3.00, 4.00, 3.00), (-4.00, -3.00, 4.00, -2.95), (-4.00, 2.95, 4.00, 3.00),
    # Between upper and lower rooms, with doorways to bedroom, kitchen and study.
    (-4.00, -0.05, -2.90, 0.05), (-1.90, -0.05, -0.30, 0.05), (0.70, -0.05, 2.00, 0.05), (3.00, -0.05, 4.00, 0.05),
    # Between bedroom and kitchen; between living room and study, with a doorway.
    (-0.55, 0.00, -0.45, 3.00), (0.95, -1.00, 1.05, 0.00), (0.95, -3.00, 1.05, -2.00),
])  # fmt: skip

FRIDGE_BOX = (1.2, 2.35, 2.0, 2.95)
CABINET_BOX = (3.45, 0.5, 3.95, 1.9)
FURNITURE: Vector = np.array([
    FRIDGE_BOX, CABINET_BOX,
    (0.20, 2.35, 1.20, 2.95), (2.00, 2.35, 3.95, 2.95),  # counters on both sides of the fridge
    (-3.95, -2.30, -3.40, -1.00), (-1.90, -2.00, -0.90, -1.25),  # side table, low table
    (1.60, -2.95, 2.80, -2.40), (3.40, -1.90, 3.95, -0.80),  # desk, shelf
    (-3.95, 0.55, -3.40, 1.45), (-3.95, 1.95, -2.00, 2.95), (-1.00, 1.70, -0.55, 2.70),  # chest, bed, nightstand
])  # fmt: skip

_UP, _DOWN, _LEFT, _RIGHT = np.pi / 2, -np.pi / 2, np.pi, 0.0
SPOTS: Vector = np.array([
    (0.60, 2.55, _UP), (2.65, 2.55, _UP), (-3.60, -1.65, _LEFT), (-1.40, -1.45, _DOWN),
    (2.20, -2.60, _DOWN), (3.60, -1.35, _RIGHT), (-3.60, 1.00, _LEFT), (-0.80, 2.20, _RIGHT),
])  # fmt: skip
"""Where an object may lie in the open or is to be put: x, y, and the direction in which a robot there looks."""
CONTENTS: Vector = np.array([(1.60, 2.53, _UP), (3.63, 1.50, _RIGHT)])
"""The same inside of fridge and cabinet."""
SCATTER = 0.05
"""An object lies this near to its spot, along either axis."""

HINGE = np.array([1.2, 2.35])
DOOR = 0.8
"""Length of the fridge's door, with the handle at its end."""
WIDEST = 1.92
"""rad by which the fridge opens."""
SLIDE = 0.6
"""Metres by which the cabinet's door slides."""
SHUT_CABINET_HANDLE = np.array([3.45, 1.75])
PATHS = np.array([DOOR * WIDEST, SLIDE])
"""Length of the way of each handle."""
FACING = np.array([_UP, _RIGHT])
"""Direction in which a robot looks that grips a handle."""
OPEN = 0.8
"""Opening (0 shut, 1 as wide as it goes) from which on what is inside can be taken."""


def handles(opening: Vector) -> tuple[Vector, Vector]:
    """Where the handles are, and the unit directions in which they open.

    Args:
        opening: float64 (B, 2), of fridge and cabinet, 0 to 1.

    Returns:
        Two arrays float64 (B, 2, 2): by environment, container, axis.
    """
    angle = WIDEST * opening[:, 0]
    cosine, sine = np.cos(angle), np.sin(angle)
    places: Vector = np.empty((len(opening), 2, 2))
    ways: Vector = np.empty((len(opening), 2, 2))
    places[:, 0, 0], places[:, 0, 1] = HINGE[0] + DOOR * cosine, HINGE[1] - DOOR * sine
    ways[:, 0, 0], ways[:, 0, 1] = -sine, -cosine
    places[:, 1, 0], places[:, 1, 1] = SHUT_CABINET_HANDLE[0], SHUT_CABINET_HANDLE[1] - SLIDE * opening[:, 1]
    ways[:, 1, 0], ways[:, 1, 1] = 0.0, -1.0
    return places, ways


def ahead(headings: Vector) -> Vector:
    """Unit vectors float64 (B, 2) along headings (B,), rad."""
    directions: Vector = np.stack([np.cos(headings), np.sin(headings)], axis=1)
    return directions
