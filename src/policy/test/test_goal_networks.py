"""Projectors and the conditioned actor: shapes, and the fast path against the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from polytask_policy.goal_networks import TASK_SLOTS, GoalConditionedActor, GoalEncoder
from polytask_policy.pictures import picture_fault, shrink
from polytask_policy.policy_spec import PolicySpec
from polytask_policy.unified import UnifiedPolicy


def test_every_projector_ends_in_the_same_space() -> None:
    goals = GoalEncoder(384, 5)
    embeddings = [
        goals.from_sentences(torch.randn(7, 384)),
        goals.from_pictures(torch.rand(7, 3, 42, 42)),
        goals.from_tasks(torch.arange(5)),
    ]
    for embedding in embeddings:
        assert embedding.shape[1] == 64
        assert embedding.mean(1).abs().max() < 1e-4
        assert embedding.norm(dim=1).max() < 8.001  # an untrained picture projector's outputs are nearly equal
    assert goals.from_sentences(torch.zeros(0, 384)).shape == (0, 64)
    assert goals.from_pictures(torch.zeros(0, 3, 42, 42)).shape == (0, 64)
    assert torch.allclose(goals.similarities(goals.from_tasks(torch.arange(5))).diagonal(), torch.ones(5), atol=1e-5)


def test_the_policy_for_one_goal_is_the_network(taught: UnifiedPolicy) -> None:
    rng = np.random.default_rng(1)
    taught.actor.normaliser.set(torch.randn(5), torch.rand(5) + 0.1)
    for goal in (taught.goal_from_task("box-open"), taught.no_goal(), taught.goal_from_task("drawer-open")):
        for _ in range(5):
            state = rng.normal(size=5).astype(np.float32)
            with torch.inference_mode():
                wanted = taught.actor(torch.from_numpy(state)[None], torch.from_numpy(goal.embedding)[None])[0]
            action = taught.act(state, goal)
            assert action.shape == (4,)
            assert action.dtype == np.float32
            assert np.allclose(action, wanted.numpy(), atol=1e-5)


def test_a_loaded_policy_acts_as_the_saved_one_and_draws_nothing_at_random(
    taught: UnifiedPolicy, tmp_path: Path
) -> None:
    taught.save(tmp_path)
    before = torch.get_rng_state()
    loaded = UnifiedPolicy.load(tmp_path, taught.text)
    assert (torch.get_rng_state() == before).all()
    state = np.full(len(taught.description.state_names), 0.1, np.float32)
    goal = loaded.goal_from_task(loaded.tasks[0])
    assert (loaded.act(state, goal) == taught.act(state, taught.goal_from_task(loaded.tasks[0]))).all()
    assert all(parameter.requires_grad for parameter in loaded.actor.parameters())


def test_the_expert_of_one_goal_is_the_network(taught: UnifiedPolicy) -> None:
    taught.actor.normaliser.set(torch.randn(5), torch.rand(5) + 0.1)
    goal = torch.from_numpy(taught.goal_from_task("box-open").embedding)
    states = torch.randn(8, 5)
    expert = taught.actor.at_goal(goal)
    assert torch.allclose(expert(states), taught.actor(states, goal.expand(8, -1)), atol=1e-5)
    assert all(parameter.requires_grad for parameter in expert.parameters())


def test_the_table_of_tasks_has_a_fixed_size_and_says_when_it_is_full() -> None:
    few, many = GoalEncoder(384, 2), GoalEncoder(384, TASK_SLOTS)
    assert [p.shape for p in few.parameters()] == [p.shape for p in many.parameters()]
    assert few.prototypes().shape == (2, 64)
    few.teach(3)
    assert few.similarities(torch.randn(5, 64)).shape == (5, 3)
    with pytest.raises(ValueError, match=r"65 tasks are too many.*holds 64"):
        few.teach(TASK_SLOTS + 1)


def test_the_goal_decides(taught: UnifiedPolicy) -> None:
    state = np.zeros(5, dtype=np.float32)
    actions = [taught.act(state, taught.goal_from_task(task)) for task in taught.tasks]
    assert not np.allclose(actions[0], actions[1], atol=1e-3)
    assert np.array_equal(taught.act(state, taught.goal_from_task(taught.tasks[0])), actions[0])


@pytest.mark.parametrize("state", [np.zeros(4), np.zeros((1, 5)), np.array([0, np.nan, 0, 0, 0]), np.full(5, np.inf)])
def test_a_state_that_does_not_fit_is_refused(taught: UnifiedPolicy, state: np.ndarray) -> None:
    with pytest.raises(ValueError, match="state"):
        taught.act(state, taught.no_goal())


def test_pictures_are_averaged_to_their_size() -> None:
    picture = np.zeros((84, 84, 3), dtype=np.uint8)
    picture[:2, :2, 0] = [[255, 255], [255, 255]]
    small = shrink(picture[None])
    assert small.shape == (1, 3, 42, 42)
    assert small[0, 0, 0, 0] == 1.0
    assert small.sum() == 1.0
    assert shrink(np.zeros((1, 480, 640, 3), dtype=np.uint8)).shape == (1, 3, 42, 42)
    assert picture_fault(picture) is None


def test_actor_takes_batches_of_states_and_goals(description: PolicySpec) -> None:
    actor = GoalConditionedActor(5, 4, (16, 8, 12))
    assert actor(torch.randn(9, 5), torch.randn(9, 64)).shape == (9, 4)
