"""Parts of the tabletop's scene as MJCF text: files beside this one, and vessels made of rings of boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import resources
from string import Template


@dataclass(frozen=True)
class Vessel:
    """A round container, open at the top."""

    radius: float
    """Radius of the circle that fits inside, metres."""
    height: float
    """Height of the rim above the base, metres."""


CUP = Vessel(0.036, 0.07)
BOWL = Vessel(0.05, 0.04)
JUG = Vessel(0.021, 0.05)

_WALL = 0.003
_SIDES = 8


def part(name: str, **values: str) -> str:
    """The file ``name``.xml with its placeholders filled in."""
    text = resources.files(__package__).joinpath(f"{name}.xml").read_text(encoding="utf-8")
    return Template(text).substitute(values)


def cup(colour: str, x: float, y: float) -> str:
    """A free cup: a box base (a cylinder on a box would touch in one point and spin) and a ring of wall boxes."""
    return f"""
    <body name="cup_{colour}" pos="{x} {y} 0" childclass="cup">
        <joint name="cup_{colour}"/>
        <geom name="cup_{colour}_base" pos="0 0 0.004" size="0.028 0.028 0.004" mass="0.12" material="{colour}"/>
        <geom class="scenery" type="cylinder" pos="0 0 0.003" size="{CUP.radius + _WALL} 0.002" material="{colour}"/>
        {_ring(CUP, 0.006, colour)}
    </body>"""


def bowl(name: str, x: float, y: float) -> str:
    """A bowl that stands still; what is in it lies on the table."""
    return f"""
    <body name="{name}" mocap="true" pos="{x} {y} 0" childclass="fixture">
        <geom class="scenery" type="cylinder" pos="0 0 0.002" size="{BOWL.radius + _WALL} 0.002" material="bowl"/>
        {_ring(BOWL, 0.006, "bowl")}
        <site name="{name}" pos="0 0 {BOWL.height}" size="0.004" group="4"/>
    </body>"""


def jug() -> str:
    """The jug at the hand."""
    return part("jug", ring=_ring(JUG, 0.003, "jug"))


def grain(index: int) -> str:
    """A grain, a free ball."""
    return f"""
    <body name="grain_{index}" childclass="grain"><joint name="grain_{index}"/><geom name="grain_{index}"/></body>"""


def _ring(vessel: Vessel, mass: float, material: str) -> str:
    """The wall of a vessel that stands on the origin: boxes of ``mass`` kg each."""
    radius = vessel.radius + _WALL
    half_side = radius * math.tan(math.pi / _SIDES) + 0.5 * _WALL
    walls = []
    for side in range(_SIDES):
        angle = 2 * math.pi * side / _SIDES
        x, y, z = radius * math.cos(angle), radius * math.sin(angle), vessel.height / 2
        walls.append(
            f'<geom pos="{x:.5f} {y:.5f} {z + 0.002:.5f}" euler="0 0 {angle:.6f}" '
            f'size="{_WALL} {half_side:.5f} {z - 0.002:.5f}" mass="{mass}" '
            f'material="{material}"/>'
        )
    return "\n        ".join(walls)
