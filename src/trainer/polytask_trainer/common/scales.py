"""What a policy divides its centred state by, from the units that the embodiment gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from polytask_policy.policy_spec import PolicySpec

SCALES = {"m": 0.1, "m/s": 0.5, "rad": 0.5, "rad/s": 2.0, "1": 1.0}
"""What a state entry is divided by after centring, by its unit. A demonstration's own spread is no measure: most
entries hardly move in one, and would be blown up where a start differs."""


def state_scales(units: Sequence[str]) -> NDArray[np.float32]:
    """Return the scales float32 (n,) of state entries in these units. Raises ValueError for an unknown unit."""
    unknown = sorted(set(units) - set(SCALES))
    if unknown:
        raise ValueError(f"no scale is known for the units {', '.join(unknown)}; there are: {', '.join(SCALES)}")
    return np.array([SCALES[unit] for unit in units], dtype=np.float32)


def units(description: PolicySpec) -> tuple[str, ...]:
    """Units of the state's entries, from the embodiment. Raises ValueError where it does not name them all."""
    known = {field["name"]: field["unit"] for field in description.embodiment.get("state", ())}
    missing = [name for name in description.state_names if name not in known]
    if missing:
        raise ValueError(f"the embodiment gives no unit for the state's {', '.join(missing)}")
    return tuple(known[name] for name in description.state_names)
