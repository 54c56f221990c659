"""Pictures of the tabletop in software: small frame buffer, no shadows, no multisampling, decimated meshes."""

from __future__ import annotations

import weakref

import mujoco
import numpy as np
import numpy.typing as npt

from polytask_sim_bridge.suites.tabletop.visuals import linkage_angle, visual_model
from polytask_sim_bridge.suites.task import CameraConfig, SuiteError

_FINGERS = ("left_finger", "right_finger")


class SceneRenderer:
    """Draws the physics of one environment. To be made, used and closed by one and the same thread (OpenGL)."""

    def __init__(self, physics: mujoco.MjModel, camera: CameraConfig) -> None:
        self._physics = physics
        self._camera = camera
        self._renderers: dict[tuple[int, int], _SizedRenderer] = {}

    def render(self, data: mujoco.MjData, width: int | None, height: int | None) -> npt.NDArray[np.uint8]:
        """A picture uint8 (height, width, 3); the camera's size unless told otherwise."""
        size = (width or self._camera.width, height or self._camera.height)
        if size not in self._renderers:
            self._renderers[size] = _SizedRenderer(self._physics, self._camera.name, *size)
        return self._renderers[size].render(data)

    def close(self) -> None:
        """Frees the OpenGL contexts."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()


class _SizedRenderer:
    def __init__(self, physics: mujoco.MjModel, camera: str, width: int, height: int) -> None:
        model = visual_model(width, height)
        self._model, self._data = model, mujoco.MjData(model)
        names = [physics.joint(i).name for i in range(physics.njnt)]
        self._from = np.concatenate([_addresses(physics, name) for name in names])
        self._to = np.concatenate([_addresses(model, name) for name in names])
        self._travel = {name: int(model.joint(name).qposadr[0]) for name in _FINGERS}
        self._camera = model.camera(camera).id
        try:
            self._renderer = mujoco.Renderer(model, height, width)
        except Exception as error:
            raise SuiteError(
                f"no picture can be rendered ({error}): install an EGL library (Debian, Ubuntu: libegl1 libgl1-mesa-dri) "
                "and leave MUJOCO_GL unset or set it to egl"
            ) from error
        # Also closes at exit, before the interpreter takes OpenGL's modules away.
        self.close = weakref.finalize(self, self._renderer.close)
        flags = self._renderer.scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
        flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0

    def render(self, data: mujoco.MjData) -> npt.NDArray[np.uint8]:
        model, shown = self._model, self._data
        shown.qpos[self._to] = data.qpos[self._from]
        shown.mocap_pos[:] = data.mocap_pos
        for side, finger in zip(("left", "right"), _FINGERS, strict=True):
            angle = linkage_angle(shown.qpos[self._travel[finger]])
            for part in ("outer_knuckle", "inner_knuckle", "finger_link"):
                shown.qpos[model.joint(f"{side}_{part}").qposadr[0]] = angle
        mujoco.mj_kinematics(model, shown)
        mujoco.mj_camlight(model, shown)
        self._renderer.update_scene(shown, self._camera)
        return self._renderer.render()


def _addresses(model: mujoco.MjModel, joint: str) -> npt.NDArray[np.int64]:
    handle = model.joint(joint)
    size = 7 if handle.type[0] == mujoco.mjtJoint.mjJNT_FREE else 1
    first = int(handle.qposadr[0])
    return np.arange(first, first + size)
