"""The cheetah of dm_control with another length of torso."""

from __future__ import annotations

from importlib import resources

import mujoco

HALF_LENGTH = 0.5
"""Metres from the torso's middle to its ends, where the thighs are, in the original."""


def cheetah(torso: float) -> mujoco.MjModel:
    """The model with a torso ``torso`` times as long as the original's.

    Thighs and head move with the torso's ends and keep their size. The mass stays 14 kg in all, as the original's
    compiler setting asks for, so a longer torso is a heavier share of it.
    """
    spec = mujoco.MjSpec.from_file(str(resources.files("dm_control") / "suite" / "cheetah.xml"))
    shift = (torso - 1.0) * HALF_LENGTH
    for geom in spec.geoms:
        if geom.name == "torso":
            geom.fromto = [-HALF_LENGTH - shift, 0.0, 0.0, HALF_LENGTH + shift, 0.0, 0.0]
        elif geom.name == "head":
            geom.pos[0] += shift
    for name, sign in (("bthigh", -1.0), ("fthigh", 1.0)):
        body = spec.body(name)
        body.pos[0] += sign * shift
    return spec.compile()
