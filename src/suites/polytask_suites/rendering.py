"""Pictures of any MuJoCo model in software: small frame buffer, no shadows, no multisampling."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import importlib.util
import os
import sys
import weakref
from pathlib import Path

import mujoco
import numpy as np
import numpy.typing as npt

from polytask_suites.task import SuiteError

Picture = npt.NDArray[np.uint8]


class _Renderer(mujoco.Renderer):
    """MuJoCo's, which can also be let go of when it could not be made in full."""

    _gl_context = None
    _mjr_context = None


if mujoco.gl_context.GLContext is not None:
    mujoco.gl_context.GLContext._context = None  # likewise

_open: weakref.WeakSet[_Renderer] = weakref.WeakSet()


@functools.cache
def _close_at_exit() -> None:
    """Close at the exit of the interpreter what nobody has closed, before MuJoCo ends the EGL display.

    Called when that is registered already, since what comes last is done first.
    """
    atexit.register(lambda: [renderer.close() for renderer in list(_open)])


@functools.cache
def load_triton_first() -> None:
    """Load the LLVM in triton before the one with which Mesa draws in software, unless there is no triton.

    torch's CUDA build imports triton with its first optimizer. Mesa makes its LLVM's symbols global: an LLVM that is
    loaded afterwards is bound to them, and the process dies. Loading the library takes 0.1 s and imports nothing.
    """
    if "triton" in sys.modules or (spec := importlib.util.find_spec("triton")) is None:
        return
    mode = os.RTLD_NOW
    if "LLVM" in Path("/proc/self/maps").read_text():  # somebody else has drawn
        mode |= os.RTLD_DEEPBIND
    for folder in spec.submodule_search_locations or ():
        with contextlib.suppress(OSError):  # an import of triton will say it
            ctypes.CDLL(str(Path(folder, "_C", "libtriton.so")), mode)


class PlainRenderer:
    """Draws a model from one of its cameras, in any size.

    To be made, used and closed by one and the same thread, as OpenGL demands. The model's visual settings are changed.
    """

    def __init__(self, model: mujoco.MjModel, camera: str) -> None:
        self._model = model
        self._camera = model.camera(camera).id
        self._renderers: dict[tuple[int, int], _Renderer] = {}

    def render(self, data: mujoco.MjData, width: int, height: int) -> Picture:
        """A picture uint8 (height, width, 3) of the positions in ``data``. Raises SuiteError if there is no OpenGL."""
        size = (width, height)
        if size not in self._renderers:
            self._renderers[size] = self._make(width, height)
        renderer = self._renderers[size]
        renderer.update_scene(data, self._camera)
        picture: Picture = renderer.render()
        return picture

    def _make(self, width: int, height: int) -> _Renderer:
        load_triton_first()
        self._model.vis.global_.offwidth = width
        self._model.vis.global_.offheight = height
        self._model.vis.quality.offsamples = 0
        try:
            renderer = _Renderer(self._model, height, width)
        except Exception as error:
            raise SuiteError(
                f"no picture can be rendered ({error}): install an EGL library "
                "(Debian, Ubuntu: libegl1 libgl1-mesa-dri) and set MUJOCO_GL=egl before Python starts"
            ) from error
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        _open.add(renderer)
        _close_at_exit()
        return renderer

    def close(self) -> None:
        """Frees the OpenGL contexts."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()
