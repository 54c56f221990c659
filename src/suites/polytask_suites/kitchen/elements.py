"""The elements of the kitchen, and when each is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask_suites.kitchen.model import STATE_NAMES

THRESHOLD = 0.3
"""An element is done when its joints are nearer than this to their goal, as in the benchmark (m and rad mixed)."""


@dataclass(frozen=True)
class Element:
    """Joints by the names of their state entries, and where they should be."""

    entries: tuple[str, ...]
    goal: tuple[float, ...]

    def distance(self, states: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Euclidean distance (...,) to the goal for states (..., 59)."""
        columns = [STATE_NAMES.index(name) for name in self.entries]
        offset = np.asarray(states, dtype=np.float64)[..., columns] - np.array(self.goal)
        return np.asarray(np.linalg.norm(offset, axis=-1))


_KETTLE = tuple(f"kettle.{part}" for part in ("x", "y", "z", "qw", "qx", "qy", "qz"))
ELEMENTS = {
    "bottom-burner": Element(("knob_bottom_left.position", "burner_bottom_left.position"), (-0.88, -0.01)),
    "top-burner": Element(("knob_top_left.position", "burner_top_left.position"), (-0.92, -0.01)),
    "light-switch": Element(("light_switch.position", "light.position"), (-0.69, -0.05)),
    "slide-cabinet": Element(("slide_cabinet.position",), (0.37,)),
    "hinge-cabinet": Element(("hinge_cabinet_left.position", "hinge_cabinet_right.position"), (0.0, 1.45)),
    "microwave": Element(("microwave.position",), (-0.75,)),
    "kettle": Element(_KETTLE, (-0.23, 0.75, 1.62, 0.99, 0.0, 0.0, -0.06)),
}
"""The benchmark's seven; goals as FrankaKitchen-v1 has them."""


def done(states: npt.NDArray[np.floating], elements: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which elements are done, bool (..., len(elements)), for states (..., 59)."""
    return np.stack([ELEMENTS[name].distance(states) < THRESHOLD for name in elements], axis=-1)
