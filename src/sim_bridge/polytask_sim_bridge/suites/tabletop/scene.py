"""The tabletop's MuJoCo model: the scene file with its three cups filled in, compiled once per process."""

from __future__ import annotations

import math
from functools import lru_cache
from importlib import resources

import mujoco

CUPS = ("green", "yellow", "blue")
CUP_HEIGHT = 0.07
"""Height of a cup's rim above its base, metres."""
CUP_INNER_RADIUS = 0.036
"""Radius of the circle that fits inside a cup, metres."""
ARM_JOINTS = tuple(f"joint{i}" for i in range(1, 8))
CUP_ROW_X = 0.33
CUP_ROW_Y = {"green": 0.14, "yellow": 0.0, "blue": -0.14}

_WALL = 0.003
_SIDES = 8


def scene_xml() -> str:
    """The whole scene as MJCF text."""
    text = resources.files(__package__).joinpath("scene.xml").read_text(encoding="utf-8")
    return text.replace("CUPS", "\n".join(_cup_xml(colour) for colour in CUPS))


@lru_cache(maxsize=1)
def physics_model() -> mujoco.MjModel:
    """The compiled model without meshes. Shared by every environment of the process: nobody may write to it."""
    return mujoco.MjModel.from_xml_string(scene_xml())


def _cup_xml(colour: str) -> str:
    """A free cup: a box base (a cylinder on a box would touch in one point and spin) and a ring of wall boxes."""
    radius = CUP_INNER_RADIUS + _WALL
    half_side = radius * math.tan(math.pi / _SIDES) + 0.5 * _WALL
    walls = []
    for side in range(_SIDES):
        angle = 2 * math.pi * side / _SIDES
        walls.append(
            f'<geom pos="{radius * math.cos(angle):.5f} {radius * math.sin(angle):.5f} {CUP_HEIGHT / 2 + 0.002:.5f}" '
            f'euler="0 0 {angle:.6f}" size="{_WALL} {half_side:.5f} {CUP_HEIGHT / 2 - 0.002:.5f}" mass="0.006" '
            f'material="{colour}"/>'
        )
    ring = "\n        ".join(walls)
    return f"""
    <body name="cup_{colour}" pos="{CUP_ROW_X} {CUP_ROW_Y[colour]} 0" childclass="cup">
        <joint name="cup_{colour}"/>
        <geom name="cup_{colour}_base" pos="0 0 0.004" size="0.028 0.028 0.004" mass="0.12" material="{colour}"/>
        <geom class="scenery" type="cylinder" pos="0 0 0.003" size="{radius} 0.002" material="{colour}"/>
        {ring}
    </body>"""
