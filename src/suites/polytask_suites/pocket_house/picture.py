"""The house from above, for people."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image, ImageDraw

from polytask_suites.batch import Picture, Vector
from polytask_suites.pocket_house import layout
from polytask_suites.pocket_house.layout import NOTHING, RADIUS
from polytask_suites.pocket_house.world import RAYS, World

_FINER = 3
"""Everything is drawn this much larger and then made smaller, which smooths edges."""
_ROOMS = {"bedroom": "#e9e4f0", "kitchen": "#f3ecdd", "living room": "#f1e3d3", "study": "#e0ebe6"}
_WALL, _OUTLINE, _WOOD, _SHADOW = "#4a4e59", "#8a6f52", "#cba77c", "#00000022"
_FRIDGE, _CABINET, _BED = "#c3d5e0", "#b98a5e", "#b9c4e0"
_ROBOT, _HEAD, _ARM, _OPEN_HAND, _CLOSED_HAND = "#35648c", "#ffffff", "#23435e", "#ffffff", "#f2b134"
_DOOR, _HANDLE, _OBJECT, _GOAL, _BEAM, _HIT = "#5d87a1", "#22262e", "#d1343f", "#2f9e5b", "#35648c60", "#35648c"
_BED_NUMBER, _PILLOW = 9, (-3.85, 2.1, -3.5, 2.8)


class _Canvas:
    """Draws in metres on a transparent picture."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGBA", (width * _FINER, height * _FINER))
        self._draw = ImageDraw.Draw(self.image)
        self.metre = min(self.image.width / (2 * layout.HALF_WIDTH), self.image.height / (2 * layout.HALF_HEIGHT))

    def at(self, x: float, y: float) -> tuple[float, float]:
        return self.image.width / 2 + x * self.metre, self.image.height / 2 - y * self.metre

    def box(self, box: Vector, fill: str, outline: str | None = None, radius: float = 0.0) -> None:
        left, bottom, right, top = box
        corners = (*self.at(left, top), *self.at(right, bottom))
        self._draw.rounded_rectangle(corners, radius * self.metre, fill, outline, max(1, round(0.03 * self.metre)))

    def line(self, points: list[Vector], fill: str, width: float) -> None:
        self._draw.line([self.at(*point) for point in points], fill, max(1, round(width * self.metre)), joint="curve")

    def polygon(self, points: Vector, fill: str) -> None:
        self._draw.polygon([self.at(*point) for point in points], fill)

    def disc(self, centre: Vector, radius: float, fill: str | None, outline: str | None = None) -> None:
        x, y = self.at(*centre)
        reach, rim = radius * self.metre, max(1, round(0.04 * self.metre))
        self._draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill, outline, rim)


def draw(world: World, index: int, width: int, height: int) -> Picture:
    """A picture uint8 (height, width, 3) of house ``index``.

    Red: the object, pale while it is behind a door; green ring: its goal; blue: the robot with what its scanner sees.
    """
    base, hand, heading = world.base[index], world.hand[index], float(world.heading[index])
    picture = _still(width, height).copy()
    seen = _Canvas(width, height)
    beams = heading + 2.0 * np.pi * np.arange(RAYS) / RAYS
    ranges = world.scan(slice(index, index + 1))[0]
    for end in base + ranges[:, None] * layout.ahead(beams):
        seen.line([base, end], _BEAM, 0.02)
        seen.disc(end, 0.05, _HIT)
    picture.alpha_composite(seen.image)

    canvas = _Canvas(width, height)
    _doors(canvas, world.opening[index])
    goal, thing = world.goal[index], world.thing[index]
    canvas.disc(goal, 0.17, None, _GOAL)
    canvas.disc(goal, 0.05, _GOAL)
    hidden = bool(world.shut_in(slice(index, index + 1))[0])
    if world.inside[index] != NOTHING or np.any(thing != hand):
        canvas.disc(thing, 0.11, _OBJECT + ("70" if hidden else ""))
    canvas.line([base, hand], _ARM, 0.1)
    canvas.disc(base, RADIUS, _ROBOT, _ARM)
    canvas.polygon(base + 0.17 * layout.ahead(heading + np.array([0.0, 2.5, -2.5])), _HEAD)
    canvas.disc(hand, 0.08, _CLOSED_HAND if world.closed[index] else _OPEN_HAND, _ARM)
    if np.all(thing == hand):
        canvas.disc(thing, 0.11, _OBJECT, _ARM)
    picture.alpha_composite(canvas.image)
    smooth = picture.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(smooth.convert("RGB"), np.uint8)


def _doors(canvas: _Canvas, opening: Vector) -> None:
    places = layout.handles(opening[None])[0][0]
    canvas.line([layout.HINGE, places[0]], _DOOR, 0.09)
    upper, lower = places[1] + np.array([0.0, 0.1]), places[1] - np.array([0.0, layout.SLIDE - 0.05])
    canvas.line([upper, lower], _DOOR, 0.09)
    for place in places:
        canvas.disc(place, 0.07, _HANDLE)


@functools.lru_cache(maxsize=4)
def _still(width: int, height: int) -> Image.Image:
    """What does not move."""
    canvas = _Canvas(width, height)
    canvas.image.paste(_WALL, (0, 0, *canvas.image.size))
    for name, room in layout.ROOMS.items():
        canvas.box(np.array(room), _ROOMS[name])
    shadow = _Canvas(width, height)
    for box in layout.FURNITURE:
        shadow.box(box + np.array([0.06, -0.06, 0.06, -0.06]), _SHADOW, radius=0.06)
    canvas.image.alpha_composite(shadow.image)
    for number, box in enumerate(layout.FURNITURE):
        special = {0: _FRIDGE, 1: _CABINET, _BED_NUMBER: _BED}
        canvas.box(box, special.get(number, _WOOD), _OUTLINE, 0.06)
    canvas.box(np.array(_PILLOW), "#ffffff", _OUTLINE, 0.08)
    for box, inside in ((layout.FRIDGE_BOX, "#ffffff"), (layout.CABINET_BOX, "#7a5a3c")):
        canvas.box(np.array(box) + np.array([0.08, 0.08, -0.08, -0.08]), inside, radius=0.04)
    for box in layout.WALLS:
        canvas.box(box, _WALL)
    return canvas.image
