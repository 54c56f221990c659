"""Objects on the table of a suite, and its MuJoCo model, compiled once per process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import mujoco

from polytask_suites.tabletop import parts

Point = tuple[float, float, float]

ARM_JOINTS = tuple(f"joint{i}" for i in range(1, 8))


@dataclass(frozen=True, eq=False)
class Scene:
    """A table with furniture. Positions in link_base, metres; those of furniture are the middles of its starts."""

    name: str
    """Of the suite."""
    cabinets: Mapping[str, tuple[float, float]]
    """Cabinets with a drawer by the suffix of their names, such as ``_left``."""
    boxes: Mapping[str, tuple[float, float]]
    """Boxes with a lid, likewise."""
    cups: Mapping[str, tuple[float, float]]
    """Cups for the peg by colour."""
    arm_start: Point
    """Middle of the grasp point's start positions."""
    targets: tuple[Point, Point]
    """Corners of the region in which the ball of the reach task hangs."""
    workspace: tuple[Point, Point]
    """Corners of the region that the commanded target may not leave."""
    camera: str
    """Attributes of the MJCF camera."""
    bowls: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Bowls to pour into by their names."""
    grains: int = 0
    """Balls in the jug that is carried beside the gripper; no jug without."""


TABLETOP = Scene(
    name="tabletop",
    cabinets={"": (0.55, 0.31)},
    boxes={"": (0.47, -0.31)},
    cups={"green": (0.33, 0.14), "yellow": (0.33, 0.0), "blue": (0.33, -0.14)},
    arm_start=(0.42, 0.0, 0.20),
    targets=((0.32, -0.20, 0.14), (0.52, 0.20, 0.30)),
    workspace=((0.22, -0.42, 0.02), (0.60, 0.42, 0.42)),
    camera='pos="0.42 -0.68 0.74" xyaxes="1 0 0 0 0.725 0.689" fovy="45"',
)
# Boxes and bowls are worked on with the peg above the cups, so they may stand behind them; drawers may not.
TABLETOP_TEN = Scene(
    name="tabletop_ten",
    cabinets={"_left": (0.55, 0.36), "_right": (0.55, -0.36)},
    boxes={"_left": (0.58, 0.115), "_right": (0.58, -0.115)},
    cups={"green": (0.26, 0.14), "yellow": (0.26, 0.0), "blue": (0.26, -0.14)},
    arm_start=(0.38, 0.0, 0.24),
    targets=((0.30, -0.20, 0.20), (0.50, 0.15, 0.30)),
    workspace=((0.20, -0.44, 0.02), (0.66, 0.44, 0.42)),
    camera='pos="0.42 -0.78 0.88" xyaxes="1 0 0 0 0.725 0.689" fovy="50"',
    bowls={"bowl_1": (0.405, 0.085), "bowl_2": (0.405, -0.085)},
    grains=4,
)
SCENES: Mapping[str, Scene] = {scene.name: scene for scene in (TABLETOP, TABLETOP_TEN)}
"""By the name of the suite."""


def scene_xml(scene: Scene) -> str:
    """The whole scene as MJCF text."""
    furniture = [
        *(parts.part("cabinet", side=side, position=f"{x} {y}") for side, (x, y) in scene.cabinets.items()),
        *(parts.part("box", side=side, position=f"{x} {y}") for side, (x, y) in scene.boxes.items()),
        *(parts.cup(colour, x, y) for colour, (x, y) in scene.cups.items()),
        *(parts.bowl(name, x, y) for name, (x, y) in scene.bowls.items()),
        *(parts.grain(index) for index in range(scene.grains)),
    ]
    pairs = [("cabinet", "drawer", side) for side in scene.cabinets] + [("box", "lid", side) for side in scene.boxes]
    return parts.part(
        "scene",
        camera=scene.camera,
        arm=parts.part("arm", jug=parts.jug() if scene.grains else ""),
        furniture="\n".join(furniture),
        excludes="\n".join(f'<exclude body1="{one}{side}" body2="{other}{side}"/>' for one, other, side in pairs),
        actuators='<position name="tilt" joint="tilt" class="jug"/>' if scene.grains else "",
    )


@lru_cache(maxsize=len(SCENES))
def physics_model(scene: Scene) -> mujoco.MjModel:
    """The compiled model without meshes. Shared by every environment of the process: nobody may write to it."""
    return mujoco.MjModel.from_xml_string(scene_xml(scene))
