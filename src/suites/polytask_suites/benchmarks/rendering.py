"""Benchmark: our cheap rendering settings against MuJoCo's default ones on the same scene, measured in turns."""

from __future__ import annotations

import time
from collections.abc import Callable

import mujoco

from polytask_suites import make_env
from polytask_suites.tabletop.scene import TABLETOP
from polytask_suites.tabletop.visuals import visual_model


def measure(rounds: int = 3, pictures: int = 3) -> dict[str, float]:
    """Pictures per second of the tabletop: ``ours``, ``default`` (MuJoCo's settings), and their ``ratio``.

    Both draw the same model at the same size. Each rate is the best of ``rounds``, so that what else the machine does
    falls on neither.
    """
    env = make_env("tabletop", "reach")
    camera = env.unwrapped.config.camera  # type: ignore[attr-defined]
    env.reset(seed=0)
    model = default_model()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = mujoco.Renderer(model, camera.height, camera.width)

    def default() -> None:
        renderer.update_scene(data, camera.name)
        renderer.render()

    try:
        ways: dict[str, Callable[[], object]] = {"ours": env.render, "default": default}
        rates = dict.fromkeys(ways, 0.0)
        for way in ways.values():
            way()
        for _ in range(rounds):
            for name, way in ways.items():
                began = time.perf_counter()
                for _ in range(pictures):
                    way()
                rates[name] = max(rates[name], pictures / (time.perf_counter() - began))
    finally:
        renderer.close()
        env.close()
    return {**rates, "ratio": rates["ours"] / rates["default"]}


def default_model() -> mujoco.MjModel:
    """The tabletop's model with MuJoCo's visual settings: multisampling, shadows, a frame buffer of 640x480."""
    model = visual_model(TABLETOP)
    plain = mujoco.MjModel.from_xml_string("<mujoco/>").vis
    model.vis.quality.offsamples = plain.quality.offsamples
    model.vis.quality.shadowsize = plain.quality.shadowsize
    model.vis.global_.offwidth = plain.global_.offwidth
    model.vis.global_.offheight = plain.global_.offheight
    model.light_castshadow[:] = True
    return model
