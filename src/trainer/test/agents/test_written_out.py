"""The agent with its gradients written out against autograd's, ``ddpg.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from polytask_policy.networks import Actor
from polytask_trainer.agents.ddpg import DDPG, AgentConfig
from polytask_trainer.agents.written_out import WrittenOut
from polytask_trainer.common.progress import Counters
from polytask_trainer.experts.checkpoint import load_training, save_training
from polytask_trainer.replay.states import Replay

SMALL: dict[str, Any] = {"hidden": (24, 16), "batch_size": 20}
NETWORKS = ("actor", "average", "critic", "target")


def agent(kind: type[DDPG], seed: int = 0, **settings: Any) -> DDPG:
    config = AgentConfig(**{**SMALL, **settings})
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        actor = Actor(7, 3, config.hidden)
    actor.normaliser.set(torch.from_numpy(rng.normal(size=7).astype(np.float32)), 0.7)
    shown = rng.normal(size=(30, 7)).astype(np.float32), rng.uniform(-1, 1, (30, 3)).astype(np.float32)
    return kind(actor, shown, config, torch.Generator().manual_seed(seed))


def replay() -> Replay:
    rng = np.random.default_rng(1)
    kept = Replay(400, 7, 3, 3, 0.9)
    for _ in range(5):
        states, actions = rng.normal(size=(41, 7)), rng.uniform(-1, 1, (40, 3))
        kept.add(states.astype(np.float32), actions.astype(np.float32), rng.random(40).astype(np.float32))
    return kept


def learn(one: DDPG, memory: Replay, updates: int, alone: int = 0) -> dict[str, Any]:
    log: dict[str, Any] = {}
    for number in range(updates):
        log = one.update(memory.sample(one.config.batch_size, one.generator), train_actor=number >= alone)
    return log


def assert_equal(one: DDPG, other: DDPG) -> None:
    for name in NETWORKS:
        own, others = getattr(one, name).state_dict(), getattr(other, name).state_dict()
        for key, value in own.items():
            torch.testing.assert_close(others[key], value, rtol=1e-4, atol=1e-5)
    assert torch.equal(one.generator.get_state(), other.generator.get_state())


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"hidden": (16,)},
        {"hidden": (12, 14, 10), "batch_size": 33},
        {"action_copies": 4},
        {"bc_lambda": 0.0, "saturation": 0.0},
        {"bc_lambda": 1.0},
        {"noise": 2.0, "noise_clip": 3.0},  # actions that are clamped
    ],
)
def test_the_same_random_numbers_give_the_same_weights(settings: dict[str, Any]) -> None:
    one, other = agent(DDPG, **settings), agent(WrittenOut, **settings)
    logs = [learn(each, replay(), 12, alone=4) for each in (one, other)]
    assert_equal(one, other)
    assert list(logs[0]) == list(logs[1])
    assert [float(value) for value in logs[1].values()] == pytest.approx([float(v) for v in logs[0].values()], rel=1e-4)


@pytest.mark.parametrize("settings", [{}, {"action_copies": 4, "bc_alpha": 2.0, "saturation": 0.5, "bc_noise": 0.3}])
def test_gradients_are_those_of_autograd(settings: dict[str, Any]) -> None:
    """Adam hardly looks at how large a gradient is, so weights would not tell of a wrong factor."""
    one, other = (agent(kind, **settings) for kind in (DDPG, WrittenOut))
    found = []
    for each in (one, other):
        learn(each, replay(), 1)
        trained = [*each.actor.parameters(), *each.critic.parameters()]
        found.append([parameter.grad.clone() for parameter in trained if parameter.grad is not None])
    assert len(found[0]) == len(found[1]) == 12
    for gradient, written in zip(*found, strict=True):
        torch.testing.assert_close(written, gradient, rtol=1e-4, atol=1e-7)


def test_critics_of_one_mind_share_the_actors_gradient() -> None:
    one, other = agent(DDPG), agent(WrittenOut)
    for each in (one, other):
        with torch.no_grad():
            for parameter in each.critic.parameters():
                parameter[1] = parameter[0]
            each.target.load_state_dict(each.critic.state_dict())
        learn(each, replay(), 1)
    assert_equal(one, other)


@pytest.mark.parametrize("first", [DDPG, WrittenOut])
@pytest.mark.parametrize("second", [DDPG, WrittenOut])
@pytest.mark.parametrize("used", [0, 3])
def test_a_training_is_carried_on_by_either_form(
    first: type[DDPG], second: type[DDPG], used: int, tmp_path: Path
) -> None:
    begun, memory = agent(first), replay()
    learn(begun, memory, 5)
    save_training(tmp_path, begun, memory, None, Counters(), "same")
    learn(begun, memory, 5)
    resumed, memory = agent(second), replay()
    learn(resumed, memory, used)
    load_training(tmp_path, resumed, memory, None, "same")
    learn(resumed, memory, 5)
    assert_equal(begun, resumed)


def test_actions_are_the_same() -> None:
    one, other = agent(DDPG), agent(WrittenOut)
    for number in range(20):
        state = np.random.default_rng(number).normal(size=7).astype(np.float32)
        action = other.act(state, 0.4)
        assert action.dtype == np.float32
        assert action.shape == (3,)
        np.testing.assert_allclose(action, one.act(state, 0.4), rtol=1e-5, atol=1e-6)


def test_a_batch_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="a batch has 21 transitions, 20 are agreed on"):
        agent(WrittenOut).update(replay().sample(21, torch.Generator()))
