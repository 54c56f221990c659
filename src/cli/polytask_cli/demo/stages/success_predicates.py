"""Which tasks are done at the end of an episode, whatever was asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def done_tasks(suite: str, tasks: Sequence[str], states: NDArray[np.float32]) -> list[str] | None:
    """Tasks whose predicate held over the newest of ``states`` float32 (T, n), as long as success asks for.

    None for a suite whose tasks cannot be judged from the state alone.
    """
    from polytask_suites.tabletop.tasks import SUCCESS_PREDICATES
    from polytask_suites.task import HOLD_STEPS, load_suite

    newest = states[-HOLD_STEPS:]
    if suite != "kitchen" and suite not in SUCCESS_PREDICATES:
        return None
    if len(newest) < HOLD_STEPS:
        return []
    if suite == "kitchen":
        from polytask_suites.kitchen.elements import done

        known = load_suite("kitchen").tasks
        return [task for task in tasks if done(newest, known[task].parameters["elements"]).all()]
    return [task for task in tasks if all(SUCCESS_PREDICATES[suite][task](state)[0] for state in newest)]
