"""Pictures of the tabletop: the physics' positions, put into the model with the meshes."""

from __future__ import annotations

import mujoco
import numpy as np
import numpy.typing as npt

from polytask_suites.rendering import Picture, PlainRenderer
from polytask_suites.tabletop.scene import Scene
from polytask_suites.tabletop.visuals import LINKAGE, linkage_angle, visual_model
from polytask_suites.task import CameraConfig

_SIDES = ("left", "right")


class SceneRenderer:
    """Draws the physics of one environment. To be made, used and closed by one and the same thread (OpenGL)."""

    def __init__(self, scene: Scene, physics: mujoco.MjModel, camera: CameraConfig) -> None:
        self._camera = camera
        model = visual_model(scene)
        self._model, self._data = model, mujoco.MjData(model)
        names = [physics.joint(i).name for i in range(physics.njnt)]
        self._from = np.concatenate([_addresses(physics, name) for name in names])
        self._to = np.concatenate([_addresses(model, name) for name in names])
        self._travel = [_addresses(model, f"{side}_finger") for side in _SIDES]
        self._linkage = [np.concatenate([_addresses(model, f"{side}_{part}") for part in LINKAGE]) for side in _SIDES]
        self._renderer = PlainRenderer(model, camera.name)

    def render(self, data: mujoco.MjData, width: int | None, height: int | None) -> Picture:
        """A picture uint8 (height, width, 3); the camera's size unless told otherwise."""
        model, shown = self._model, self._data
        shown.qpos[self._to] = data.qpos[self._from]
        shown.mocap_pos[:] = data.mocap_pos
        for travel, linkage in zip(self._travel, self._linkage, strict=True):
            shown.qpos[linkage] = linkage_angle(float(shown.qpos[travel[0]]))
        mujoco.mj_kinematics(model, shown)
        mujoco.mj_camlight(model, shown)
        return self._renderer.render(shown, width or self._camera.width, height or self._camera.height)

    def close(self) -> None:
        """Frees the OpenGL contexts."""
        self._renderer.close()


def _addresses(model: mujoco.MjModel, joint: str) -> npt.NDArray[np.int64]:
    """Where a joint's coordinates lie in ``qpos``: int64 (7,) for a free joint, (1,) otherwise."""
    handle = model.joint(joint)
    size = 7 if handle.type[0] == mujoco.mjtJoint.mjJNT_FREE else 1
    first = int(handle.qposadr[0])
    return np.arange(first, first + size)
