"""The agents' losses by hand, what arriving is worth, the temperature, and continuous actions."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from polytask_trainer.ot_regularised.config import SacConfig
from polytask_trainer.ot_regularised.sac import Batch, Sac

TABLES = SacConfig(hidden=(), gamma=0.5, temperature=0.2, learning_rate=0.1)


def batch_of_one(agents=1, reward=1.0, terminated=False):
    """From cell 0 by action 1 to cell 2."""
    full = (agents, 1)
    return Batch(
        torch.zeros(full, dtype=torch.int64),
        torch.ones(full, dtype=torch.int64),
        torch.full(full, reward),
        torch.full(full, 2, dtype=torch.int64),
        torch.full(full, terminated),
    )


def made(agents=1, **settings):
    return Sac(agents, (4, 2), True, TABLES, torch.Generator().manual_seed(0), group=agents, **settings)


def fill(agent, values, policy):
    with torch.no_grad():
        for network in (agent.critics, agent.target):
            network.layers.rows.copy_(torch.tensor(values, dtype=torch.float32))
        agent.policy.layers.rows.copy_(torch.tensor(policy).log())


VALUES = [[[0.0, 1.0], [0.0, 0.0], [2.0, 4.0], [0.0, 0.0]], [[0.5, 0.5], [0.0, 0.0], [3.0, 3.0], [0.0, 0.0]]]
POLICY = [[[0.5, 0.5], [0.5, 0.5], [0.25, 0.75], [0.5, 0.5]]]
END = 0.2 * math.log(2.0) / 0.5
"""end_value: alpha log 2 / (1 - gamma)."""


def test_critic_loss_by_hand():
    agent = made()
    fill(agent, VALUES, POLICY)
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    value = END + 0.25 * 2.0 + 0.75 * 3.0 + 0.2 * entropy  # the smaller critic at cell 2: 2 and 3
    wanted = 1.0 + 0.5 * value
    expected = (END + 1.0 - wanted) ** 2 + (END + 0.5 - wanted) ** 2
    assert agent._critic_loss(batch_of_one()).item() == pytest.approx(expected, rel=1e-5)
    arrived = (END + 1.0 - (1.0 + 0.5 * END)) ** 2 + (END + 0.5 - (1.0 + 0.5 * END)) ** 2
    assert agent._critic_loss(batch_of_one(terminated=True)).item() == pytest.approx(arrived, rel=1e-5)


def test_policy_loss_and_gradient_by_hand():
    agent = made()
    fill(agent, VALUES, POLICY)
    states = torch.tensor([[2]])
    choices = agent.policy.choices(states, agent.generator)
    loss = agent._policy_loss(choices, states)
    smaller = [END + 2.0, END + 3.0]
    terms = [0.2 * math.log(p) - q for p, q in zip((0.25, 0.75), smaller, strict=True)]
    assert loss.item() == pytest.approx(0.25 * terms[0] + 0.75 * terms[1], rel=1e-5)
    loss.backward()
    slope = agent.policy.layers.rows.grad[0, 2]
    assert torch.allclose(slope, 0.25 * 0.75 * (terms[0] - terms[1]) * torch.tensor([1.0, -1.0]), rtol=1e-4)


def test_distrals_regularisation_by_hand():
    agent = made(share=0.5)
    fill(agent, VALUES, POLICY)
    with torch.no_grad():
        agent.prior.layers.rows[0, 2] = torch.tensor([0.9, 0.1]).log()
    states = torch.tensor([[2]])
    found = agent._regularised(agent.policy.choices(states, agent.generator), states)[0, 0]
    expected = [0.2 * (math.log(p) - 0.5 * math.log(q)) for p, q in ((0.25, 0.9), (0.75, 0.1))]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)
    loss = agent._prior_loss(agent.policy.choices(states, agent.generator), states)
    assert loss.item() == pytest.approx(-0.25 * math.log(0.9) - 0.75 * math.log(0.1), rel=1e-5)
    loss.backward(inputs=list(agent.prior.parameters()))
    assert torch.allclose(agent.prior.layers.rows.grad[0, 2], torch.tensor([0.9 - 0.25, 0.1 - 0.75]), rtol=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_arriving_with_continuous_actions_is_worth_more_than_any_entropy(share):
    config = SacConfig(hidden=(8,), gamma=0.9, temperature=0.2)
    agent = Sac(1, (3, 1), False, config, torch.Generator().manual_seed(0), share=share)
    assert agent.end_value().item() == pytest.approx((1.0 - share) * 0.2 * math.log(2.0) / 0.1, rel=1e-5)
    grid = torch.linspace(-0.9995, 0.9995, 2001).view(1, -1, 1)
    earned = []
    for seed in range(20):
        with torch.no_grad():
            generator = torch.Generator().manual_seed(seed)
            for weight in [*agent.policy.parameters(), *(agent.prior.parameters() if agent.prior else ())]:
                weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
            states = torch.randn(1, 1, 3, generator=generator).expand(1, 2001, 3)
            choices = dataclasses.replace(agent.policy.choices(states, generator), raw=torch.atanh(grid))
            choices = dataclasses.replace(choices, log=agent.policy.log_of(choices, states))
            cost = (choices.log.exp() * agent._regularised(choices, states)).flatten()
        earned.append(-float(torch.trapezoid(cost, grid.flatten())) / (1.0 - config.gamma))
    assert max(earned) < agent.end_value().item() + 1e-3
    assert max(earned) > 0.0, "there is something to be lost"


def test_the_end_of_a_continuous_task_by_hand():
    agent = Sac(1, (1, 2), False, SacConfig(hidden=(4,), gamma=0.5, temperature=0.2), torch.Generator().manual_seed(0))
    states, actions = torch.ones(1, 1, 1), torch.zeros(1, 1, 2)
    ended = Batch(states, actions, torch.tensor([[1.0]]), states, torch.tensor([[True]]))
    wanted = 1.0 + 0.5 * 0.2 * 2.0 * math.log(2.0) / 0.5
    expected = (agent.critics(states, actions) - wanted).square().sum().item()
    assert agent._critic_loss(ended).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("discrete", [True, False])
@pytest.mark.parametrize("off", [-0.2, 0.2])
def test_the_temperature_falls_with_an_entropy_above_its_target_and_rises_below(discrete, off):
    hidden = () if discrete else (8,)
    states = torch.zeros(1, 64, dtype=torch.int64) if discrete else torch.ones(1, 64, 1)
    actions = states if discrete else torch.zeros(1, 64, 1)
    batch = Batch(states, actions, torch.zeros(1, 64), states, torch.zeros(1, 64, dtype=torch.bool))
    agent = Sac(1, (1, 2 if discrete else 1), discrete, SacConfig(hidden=hidden), torch.Generator().manual_seed(0))
    with torch.no_grad():
        choices = agent.policy.choices(states, torch.Generator().manual_seed(1))
        entropy = -float((choices.probability * choices.log).sum(-1).mean())
    config = SacConfig(hidden=hidden, target_entropy=entropy + off, learning_rate=1e-3)
    agent = Sac(1, (1, 2 if discrete else 1), discrete, config, torch.Generator().manual_seed(0))
    before = agent.log_alpha.item()
    agent.update(batch)
    assert agent.log_alpha.item() - before == pytest.approx(math.copysign(1e-3, off), rel=0.01)


def test_agents_of_a_stack_learn_as_if_alone():
    pair, alone = made(2), made(1)
    one, two = batch_of_one(1, 1.0), batch_of_one(1, -3.0)
    both = Batch(*(torch.cat([getattr(b, f.name) for b in (one, two)]) for f in dataclasses.fields(Batch)))
    for _ in range(20):
        pair.update(both)
        alone.update(one)
    assert torch.equal(pair.policy.layers.rows[0], alone.policy.layers.rows[0])
    assert torch.equal(pair.critics.layers.rows[[0, 2]], alone.critics.layers.rows)
    assert not torch.equal(pair.policy.layers.rows[1], alone.policy.layers.rows[0])


def test_continuous_agents_find_the_best_action():
    config = SacConfig(hidden=(32,), gamma=0.0, temperature=0.01, learning_rate=3e-3)
    agent = Sac(2, (1, 1), False, config, torch.Generator().manual_seed(0), group=2, share=0.3)
    generator = torch.Generator().manual_seed(1)
    best = torch.tensor([0.5, -0.5]).view(2, 1, 1)
    for _ in range(800):
        actions = 2.0 * torch.rand(2, 64, 1, generator=generator) - 1.0
        states = torch.ones(2, 64, 1)
        rewards = -(actions - best).square().squeeze(-1)
        agent.update(Batch(states, actions, rewards, states, torch.zeros(2, 64, dtype=torch.bool)))
    found = agent.act(np.ones((2, 1, 1), np.float32), greedy=True)
    assert found[:, 0, 0].tolist() == pytest.approx([0.5, -0.5], abs=0.15)


def test_log_density_of_squashed_actions_integrates_to_one():
    agent = Sac(1, (1, 1), False, SacConfig(hidden=(8,)), torch.Generator().manual_seed(0))
    states = torch.zeros(1, 4001, 1)
    grid = torch.linspace(-0.9995, 0.9995, 4001).view(1, -1, 1)
    choices = dataclasses.replace(agent.policy.choices(states, agent.generator), raw=torch.atanh(grid))
    density = agent.policy.log_of(choices, states).exp().flatten()
    assert float(torch.trapezoid(density, grid.flatten())) == pytest.approx(1.0, abs=0.01)
