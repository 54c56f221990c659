"""The model that is drawn: the scene plus the arm's meshes, decimated, and the gripper's linkage.

Physics needs none of it, so environments that nobody looks at load no meshes.
"""

from __future__ import annotations

import copy
import importlib.util
from functools import lru_cache
from pathlib import Path

import fast_simplification
import mujoco
import numpy as np
import numpy.typing as npt

from polytask_suites.tabletop.scene import Scene, scene_xml
from polytask_suites.task import SuiteError

KEEP = 0.05
"""Share of a mesh's faces that is drawn; at 84x84 nobody sees the rest, and it renders 20 times faster."""
_FEWEST_FACES = 900
_STL_FACE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])

# Body of the scene -> meshes of gym-xarm's arm and their material.
_LINKS = {
    "link0": (("link_base", "arm"),),
    "link1": (("link1", "arm"),),
    "link2": (("link2", "arm"),),
    "link3": (("link3", "arm"),),
    "link4": (("link4", "arm"),),
    "link5": (("link5", "arm"),),
    "link6": (("link6", "arm"),),
    "link7": (("link7", "metal"), ("base_link", "arm")),
}
LINKAGE = ("outer_knuckle", "inner_knuckle", "finger_link")
"""Hinges of one side of the gripper that turn by the same angle."""
# One side of the gripper: where its hinges are, metres in link7 (outer, inner) and in the outer knuckle (finger).
_OUTER = np.array([0.0, 0.035, 0.059098])
_INNER = np.array([0.0, 0.02, 0.074098])
_FINGER = np.array([0.0, 0.035465, 0.042039])
_PAD = 0.026
"""From the finger's hinge to its pad, metres."""


def linkage_angle(travel: float) -> float:
    """The knuckles' angle in radians (0 open, about 0.85 closed) at which the pads have opened by ``travel`` metres."""
    radius, phase = float(np.hypot(_FINGER[1], _FINGER[2])), float(np.arctan2(_FINGER[2], _FINGER[1]))
    cosine = (travel + _PAD - _OUTER[1]) / radius
    return float(np.arccos(np.clip(cosine, -1.0, 1.0))) - phase


def visual_model(scene: Scene) -> mujoco.MjModel:
    """A model of its own to draw with; the meshes are read and decimated once per process and scene."""
    return copy.copy(_compiled(scene))


@lru_cache
def _compiled(scene: Scene) -> mujoco.MjModel:
    spec = mujoco.MjSpec.from_string(scene_xml(scene))
    folder = mesh_folder()
    for body_name, meshes in _LINKS.items():
        for mesh, material in meshes:
            _add_mesh_geom(spec, spec.body(body_name), folder, mesh, material)
    hand = spec.body("link7")
    for side, sign in (("left", 1.0), ("right", -1.0)):
        outer = _add_hinged(hand, f"{side}_outer_knuckle", _OUTER * [1, sign, 1], sign)
        inner = _add_hinged(hand, f"{side}_inner_knuckle", _INNER * [1, sign, 1], sign)
        finger = _add_hinged(outer, f"{side}_finger_link", _FINGER * [1, sign, 1], -sign)
        for body, mesh in ((outer, "outer_knuckle"), (inner, "inner_knuckle"), (finger, "finger")):
            _add_mesh_geom(spec, body, folder, f"{side}_{mesh}", "gripper")
    return spec.compile()


def mesh_folder() -> Path:
    """Where the gym-xarm package keeps the arm's meshes; found without importing it. Raises SuiteError if missing."""
    found = importlib.util.find_spec("gym_xarm")
    for place in found.submodule_search_locations or () if found else ():
        folder = Path(place) / "tasks" / "assets" / "mesh"
        if folder.is_dir():
            return folder
    raise SuiteError("the arm's meshes come with the package gym-xarm, which is not installed: run ./polytask doctor")


def read_stl(path: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Vertices float32 (V, 3) in metres, welded, and faces int32 (F, 3) of a binary STL file."""
    corners = np.frombuffer(path.read_bytes(), dtype=_STL_FACE, offset=84)["corners"].reshape(-1, 3)
    points, index = np.unique(corners, axis=0, return_inverse=True)
    return points, index.reshape(-1, 3).astype(np.int32)


def _add_mesh_geom(spec: mujoco.MjSpec, body: mujoco.MjsBody, folder: Path, name: str, material: str) -> None:
    points, faces = read_stl(folder / f"{name}.stl")
    reduction = 1.0 - max(KEEP, min(1.0, _FEWEST_FACES / len(faces)))
    if reduction > 0.0:
        points, faces = fast_simplification.simplify(points, faces, target_reduction=reduction, agg=3)
    mesh = spec.add_mesh()
    mesh.name = name
    mesh.uservert = points.astype(np.float32).ravel()
    mesh.userface = faces.astype(np.int32).ravel()
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    geom = body.add_geom()
    geom.type = mujoco.mjtGeom.mjGEOM_MESH
    geom.meshname = name
    geom.material = material
    geom.contype = geom.conaffinity = 0
    geom.mass = 0.01  # this model is never stepped, but a moving body must weigh something


def _add_hinged(parent: mujoco.MjsBody, name: str, position: npt.NDArray[np.float64], axis: float) -> mujoco.MjsBody:
    body = parent.add_body()
    body.name = name
    body.pos = position
    joint = body.add_joint()
    joint.name = name
    joint.axis = [axis, 0.0, 0.0]
    return body
