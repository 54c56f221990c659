"""Pictures of any MuJoCo model in software: small frame buffer, no shadows, no multisampling."""

from __future__ import annotations

import weakref

import mujoco
import numpy as np
import numpy.typing as npt

from polytask_sim_bridge.suites.task import SuiteError

Picture = npt.NDArray[np.uint8]


class PlainRenderer:
    """Draws a model from one of its cameras, in any size.

    To be made, used and closed by one and the same thread, as OpenGL demands. The model's visual settings are changed.
    """

    def __init__(self, model: mujoco.MjModel, camera: str) -> None:
        self._model = model
        self._camera = model.camera(camera).id
        self._renderers: dict[tuple[int, int], mujoco.Renderer] = {}

    def render(self, data: mujoco.MjData, width: int, height: int) -> Picture:
        """A picture uint8 (height, width, 3) of the positions in ``data``. Raises SuiteError if there is no OpenGL."""
        size = (width, height)
        if size not in self._renderers:
            self._renderers[size] = self._make(width, height)
        renderer = self._renderers[size]
        renderer.update_scene(data, self._camera)
        picture: Picture = renderer.render()
        return picture

    def _make(self, width: int, height: int) -> mujoco.Renderer:
        self._model.vis.global_.offwidth = width
        self._model.vis.global_.offheight = height
        self._model.vis.quality.offsamples = 0
        try:
            renderer = mujoco.Renderer(self._model, height, width)
        except Exception as error:
            raise SuiteError(
                f"no picture can be rendered ({error}): install an EGL library "
                "(Debian, Ubuntu: libegl1 libgl1-mesa-dri) and set MUJOCO_GL=egl before Python starts"
            ) from error
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        # Whoever forgets to close: do it before the interpreter takes OpenGL's modules away.
        weakref.finalize(self, renderer.close)
        return renderer

    def close(self) -> None:
        """Frees the OpenGL contexts."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()
