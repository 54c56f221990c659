"""What an expert is trained for, as its checkpoint says it."""

from __future__ import annotations

from typing import Any

import yaml

from polytask_policy.policy_spec import PolicySpec
from polytask_suites import load_suite


def describe(suite: str, task: str, embodiment: Any) -> PolicySpec:
    """What an expert of ``task`` is trained for."""

    from polytask_policy.policy_spec import PolicySpec

    known = load_suite(suite).task(task)
    return PolicySpec(
        suite=suite,
        tasks=(task,),
        state_names=embodiment.state_names,
        action_names=embodiment.command_names,
        instructions={task: known.instructions},
        descriptions={task: known.description},
        embodiment=yaml.safe_load(embodiment.to_yaml()),
    )
