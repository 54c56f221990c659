"""The model of gymnasium-robotics' FrankaKitchen-v1, and what its joints are called here."""

from __future__ import annotations

import functools
import importlib.util
import math
from pathlib import Path

import mujoco
import numpy as np

_FILE = "envs/assets/kitchen_franka/kitchen_assets/kitchen_env_model.xml"

ARM = tuple(f"arm_{number}" for number in range(1, 8))
ROBOT = (*ARM, "finger_right", "finger_left")
FIXTURES = (
    "knob_bottom_right", "burner_bottom_right", "knob_bottom_left", "burner_bottom_left",
    "knob_top_right", "burner_top_right", "knob_top_left", "burner_top_left",
    "light_switch", "light", "slide_cabinet", "hinge_cabinet_left", "hinge_cabinet_right", "microwave",
)  # fmt: skip
"""Joints of the kitchen in the model's order."""
STATE_NAMES: tuple[str, ...] = (
    *(f"{joint}.position" for joint in ROBOT),
    *(f"{joint}.velocity" for joint in ROBOT),
    *(f"{joint}.position" for joint in FIXTURES),
    *(f"kettle.{part}" for part in ("x", "y", "z", "qw", "qx", "qy", "qz")),
    *(f"{joint}.velocity" for joint in FIXTURES),
    *(f"kettle_velocity.{part}" for part in ("x", "y", "z", "wx", "wy", "wz")),
)
"""Names of the 59 entries, in the order of FrankaKitchen-v1's observation. Metres, radians, seconds, world axes."""

CAMERA = "front"
_VIEW = {"azimuth": 70.0, "elevation": -35.0, "distance": 2.2, "centre": (-0.2, 0.5, 2.0)}
"""Degrees and metres: from where FrankaKitchen-v1 draws."""


@functools.lru_cache(maxsize=1)
def kitchen() -> mujoco.MjModel:
    """The model, with a camera ``front``. Nobody may change it: environments and experts of a process share it."""
    package = importlib.util.find_spec("gymnasium_robotics")  # importing it would take a second
    assert package is not None
    assert package.submodule_search_locations is not None
    spec = mujoco.MjSpec.from_file(str(Path(package.submodule_search_locations[0]) / _FILE))
    azimuth, elevation = math.radians(_VIEW["azimuth"]), math.radians(_VIEW["elevation"])  # type: ignore[arg-type]
    ahead = np.array(
        [math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth), math.sin(elevation)]
    )
    right = np.array([math.sin(azimuth), -math.cos(azimuth), 0.0])
    axes = np.column_stack([right, np.cross(right, ahead), -ahead])
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, axes.ravel())
    position = np.array(_VIEW["centre"]) - _VIEW["distance"] * ahead
    spec.worldbody.add_camera(name=CAMERA, pos=position, quat=quaternion)
    return spec.compile()
