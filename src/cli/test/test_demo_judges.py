"""What is done at the end of an episode, whatever was asked for."""

import numpy as np
import pytest

from polytask_cli.demo.options import DemoError, DemoOptions
from polytask_cli.demo.stages.success_predicates import done_tasks
from polytask_suites import make_env
from polytask_suites.kitchen.elements import ELEMENTS
from polytask_suites.kitchen.model import STATE_NAMES


def test_the_kitchens_tasks_are_judged_from_its_state() -> None:
    state = make_env("kitchen", "kettle").reset(seed=0)[0]["state"]
    states = np.repeat(state[None], 6, axis=0)
    tasks = ["microwave", "light-switch", "microwave-kettle-light-slide"]
    assert done_tasks("kitchen", tasks, states) == []
    states[1:, STATE_NAMES.index("microwave.position")] = ELEMENTS["microwave"].goal[0]
    assert done_tasks("kitchen", tasks, states) == ["microwave"]
    assert done_tasks("kitchen", tasks, states[:5]) == [], "done for four steps only"
    assert done_tasks("metaworld", tasks, states) is None


def test_a_suite_without_standard_tasks_says_so() -> None:
    with pytest.raises(DemoError, match=r"no standard tasks.*cheetah-run-80"):
        DemoOptions(suite="dmc").resolved()
    assert DemoOptions(suite="kitchen").resolved().tasks[0] == "light-switch"
