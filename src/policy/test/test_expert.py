"""An expert's policy: saved, loaded, and refused for another robot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from polytask_policy.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from polytask_policy.expert import ExpertPolicy
from polytask_policy.networks import Actor, Normaliser
from polytask_policy.policy_spec import PolicySpec


@pytest.fixture
def expert(description: PolicySpec) -> ExpertPolicy:
    """An untrained expert of one task, with a normaliser that matters."""
    one = PolicySpec("tabletop", ("box-open",), description.state_names, description.action_names, {"box-open": ("a",)})
    actor = Actor(5, 4, (16, 16))
    actor.normaliser.set(torch.arange(5.0), torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5]))
    return ExpertPolicy(actor, one)


def test_a_loaded_expert_acts_as_the_saved_one(tmp_path: Path, expert: ExpertPolicy) -> None:
    expert.save(tmp_path, steps=10)
    loaded = ExpertPolicy.load(tmp_path)
    states = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    assert np.array_equal(expert.act(states), loaded.act(states))
    assert loaded.description == expert.description
    assert loaded.task == "box-open"
    assert load_checkpoint(tmp_path)[1]["steps"] == 10


def test_actions_have_the_shape_asked_for_and_stay_in_range(expert: ExpertPolicy) -> None:
    states = 1e6 * np.ones((3, 5), dtype=np.float32)
    assert expert.act(states).shape == (3, 4)
    assert expert.act(states[0]).shape == (4,)
    assert np.abs(expert.act(states)).max() <= 1
    assert expert.act(states).dtype == np.float32


def test_the_normaliser_centres_and_scales() -> None:
    normaliser = Normaliser(2)
    normaliser.set(torch.tensor([1.0, 2.0]), 0.5)
    assert normaliser(torch.tensor([2.0, 2.0])).tolist() == [2.0, 0.0]
    with pytest.raises(ValueError, match="positive"):
        normaliser.set(torch.zeros(2), torch.tensor([1.0, 0.0]))


def test_sizes_that_do_not_fit_the_description_are_refused(description: PolicySpec, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="exactly one task"):
        ExpertPolicy(Actor(5, 4), description)
    one = PolicySpec("tabletop", ("box-open",), description.state_names, description.action_names)
    with pytest.raises(ValueError, match="the actor is 6 -> 4"):
        ExpertPolicy(Actor(6, 4), one)
    ExpertPolicy(Actor(5, 4, (8,)), one).save(tmp_path)
    tensors, meta = load_checkpoint(tmp_path)
    save_checkpoint(tmp_path, tensors, {**meta, "network": {"state_size": 5, "action_size": 4, "hidden": [9]}})
    with pytest.raises(CheckpointError, match="does not fit its own description"):
        ExpertPolicy.load(tmp_path)
    save_checkpoint(tmp_path, tensors, {"kind": "expert"})
    with pytest.raises(CheckpointError, match="lacks an entry"):
        ExpertPolicy.load(tmp_path)


def test_another_robot_is_refused_with_the_differences(description: PolicySpec) -> None:
    names, actions = description.state_names, description.action_names
    assert description.differences(names, actions) == []
    description.require_fit(names, actions)
    other = (*names[:-1], "lid.rate")
    with pytest.raises(CheckpointError, match=r"lacks lid\.angle.*does not know lid\.rate"):
        description.require_fit(other, actions)
    swapped = (names[1], names[0], *names[2:])
    assert description.differences(swapped, actions) == [
        "state: another order from place 0 on ('grasp.y', trained with 'grasp.x')"
    ]
    assert "action: the robot lacks gripper" in description.differences(names, actions[:3])
