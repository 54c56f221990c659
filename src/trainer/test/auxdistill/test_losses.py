"""AuxDistill's parts against figures by hand: losses, PopArt, relevance, and where gradients go."""

import dataclasses
import math

import pytest
import torch

from polytask_trainer.auxdistill import losses
from polytask_trainer.auxdistill.config import AuxDistillConfig
from polytask_trainer.auxdistill.learn import distillation
from polytask_trainer.auxdistill.network import RecurrentPolicy
from polytask_trainer.auxdistill.popart import PopArt
from polytask_trainer.auxdistill.relevance import Classifier, Oracle, Value


@pytest.fixture
def policy() -> RecurrentPolicy:
    torch.manual_seed(0)
    made = RecurrentPolicy(state_size=3, action_size=2, tasks=3, hidden=8)
    for parameter in made.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return made


def test_advantages_by_hand():
    # One episode ends after the second step; γ = 0.5, λ = 0.5.
    reward, value = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([[0.5], [1.0], [3.0]])
    ended = torch.tensor([[False], [True], [False]])
    found = losses.advantages(reward, value, ended, torch.tensor([8.0]), torch.tensor([0.5]), 0.5)
    # errors: 1 + 0.5·1 − 0.5 = 1; 2 − 1 = 1; 4 + 0.5·8 − 3 = 5
    assert found.flatten().tolist() == [1.0 + 0.25 * 1.0, 1.0, 5.0]


def test_advantages_are_normalised_within_each_task():
    advantage = torch.tensor([[1.0, 100.0, 2.0], [3.0, 300.0, 6.0]])
    found = losses.per_task(advantage, torch.tensor([0, 1, 0]))
    for columns in ([0, 2], [1]):
        assert found[:, columns].mean().item() == pytest.approx(0.0, abs=1e-6)
        assert found[:, columns].std(correction=0).item() == pytest.approx(1.0, abs=1e-4)
    noise = losses.per_task(1e-3 * advantage[:, :1], torch.tensor([0]))  # of a task that earns nothing yet
    assert noise.abs().max() == pytest.approx(1e-3 / 0.05)


def test_divergence_is_that_of_gaussians():
    mean, log_std = torch.tensor([[0.1, -0.4]]), torch.tensor([[-1.0, 0.2]])
    other, other_log_std = torch.tensor([[0.5, 0.3]]), torch.tensor([[-0.5, -0.1]])
    normal = torch.distributions.Normal
    wanted = torch.distributions.kl_divergence(normal(mean, log_std.exp()), normal(other, other_log_std.exp())).sum(-1)
    torch.testing.assert_close(losses.divergence(mean, log_std, other, other_log_std), wanted)
    sampled = losses.log_probability(other, mean, log_std)
    torch.testing.assert_close(sampled, normal(mean, log_std.exp()).log_prob(other).sum(-1))


def test_distillation_loss_by_hand():
    divergences = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    relevance = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    # (1 + 2) / 2 of the first task and 40 / 1 of the second
    assert losses.distillation_loss(divergences, relevance).item() == 1.5 + 40.0
    # A mask that sums to less than one does not blow its samples up.
    assert losses.distillation_loss(divergences, 0.1 * relevance).item() == pytest.approx(0.3 + 4.0)
    assert losses.distillation_loss(divergences, torch.zeros(3, 2)).item() == 0.0


def test_the_clipped_surrogate_by_hand():
    ratio, advantage = torch.tensor([1.5, 0.5, 1.5]), torch.tensor([1.0, -1.0, -1.0])
    assert losses.policy_loss(ratio, advantage, 0.2).item() == pytest.approx(-(1.2 - 0.8 - 1.5) / 3)
    value, old, target = torch.tensor([1.0]), torch.tensor([0.0]), torch.tensor([1.0])
    assert losses.value_loss(value, old, target, 0.2).item() == pytest.approx(0.5 * 0.8**2)


def test_popart_keeps_its_values_when_its_statistics_move():
    torch.manual_seed(0)
    heads = PopArt(4, 2)
    heads.weight.data.normal_()
    heads.bias.data.normal_()
    features, task = torch.randn(6, 2, 4), torch.tensor([0, 1])
    before = heads.denormalise(heads.normalised(features, task), task)
    old = heads.deviation.clone()
    heads.update(torch.randn(6, 2) * torch.tensor([3.0, 50.0]) + 20.0, task, rate=0.4)
    assert ((heads.deviation - old).abs() > 0.5).all()
    after = heads.denormalise(heads.normalised(features, task), task)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


def test_popart_moves_towards_each_task_s_own_returns():
    heads = PopArt(4, 3)
    for _ in range(60):
        heads.update(torch.tensor([[1.0, 10.0], [3.0, 30.0]]), torch.tensor([0, 2]), rate=0.2)
    assert heads.mean.tolist() == pytest.approx([2.0, 0.0, 20.0], rel=1e-3)
    assert heads.deviation.tolist() == pytest.approx([1.0, 1.0, 10.0], rel=1e-2)
    returns = torch.tensor([[1.0, 10.0]])
    task = torch.tensor([0, 2])
    assert heads.normalise(returns, task).flatten().tolist() == pytest.approx([-1.0, -1.0], rel=1e-2)


@pytest.mark.parametrize("relevance", [Oracle(["pick", "open"], ["pick", "open"]), Value()])
def test_the_distillation_gradient_never_reaches_the_auxiliary_policy(policy, relevance):
    features = torch.randn(5, 16, requires_grad=True)
    ours = policy.action(features, torch.zeros(5, dtype=torch.int64))
    distillation(policy, relevance, torch.randn(5, 3), torch.tensor([0, 1, 1, 0, 1]), features, ours).backward()
    # What belongs to one task alone: the actor's first layer, and its deviations.
    own, *others = policy.actor.task
    assert own.weight.grad.abs().sum() > 0
    assert policy.log_std.grad[0].abs().min() > 0
    assert all(layer.weight.grad is None for layer in (*others, *policy.critic.task))
    assert (policy.log_std.grad[1:] == 0).all()


def test_hidden_states_end_with_their_episodes_and_pass_between_calls(policy):
    observations = torch.randn(6, 2, 3)
    begins = torch.zeros(6, 2, dtype=torch.bool)
    begins[0], begins[4, 1] = True, True
    whole, _ = policy.features(observations, begins, torch.randn(2, 8))
    first, hidden = policy.features(observations[:3], begins[:3], torch.randn(2, 8))
    second, _ = policy.features(observations[3:], begins[3:], hidden)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    anew, _ = policy.features(observations[4:, 1:], torch.tensor([[True], [False]]), torch.randn(1, 8))
    torch.testing.assert_close(anew[:, 0], whole[4:, 1])


def test_one_hidden_state_serves_all_tasks(policy):
    observations, begins = torch.randn(4, 2, 3), torch.zeros(4, 2, dtype=torch.bool)
    features, _ = policy.features(observations, begins, policy.start(2))
    means = [policy.action(features, torch.full((2,), task))[0] for task in range(3)]
    assert (means[0] - means[1]).abs().max() > 1e-3
    mixed, _ = policy.action(features, torch.tensor([0, 2]))
    torch.testing.assert_close(mixed, torch.stack([means[0][:, 0], means[2][:, 1]], 1))


def test_the_oracle_reads_the_stage_off_its_table(policy):
    oracle = Oracle(["open", "pick", ""], ["pick", "open"])
    f = oracle.weigh(policy, torch.zeros(3, 3), torch.zeros(3, 16), torch.tensor([0, 1, 2]))
    assert f.tolist() == [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]


def test_the_classifier_tells_whose_states_it_sees(policy):
    torch.manual_seed(0)
    classifier = Classifier(3, 2, torch.Generator().manual_seed(0))
    task = torch.tensor([0, 1, 2, 2, 2])  # the main task's observations are not learned from; tasks count the same
    places = torch.tensor([0.0, -1.0, 1.0, 1.0, 1.0]).view(1, 5, 1)
    for _ in range(60):
        classifier.learn(places + 0.1 * torch.randn(32, 5, 3), task)
    f = classifier.weigh(policy, torch.tensor([[-1.0] * 3, [1.0] * 3, [0.0] * 3]), torch.zeros(3, 16), task[:3])
    assert f[0, 0] > 0.85
    assert f[1, 1] > 0.85
    assert f[2].sum() < 0.8  # unsure
    assert (f.amin(-1) == 0.0).all()  # the likeliest alone


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="relevance must be none"):
        AuxDistillConfig("main", relevance="oracle")
    with pytest.raises(ValueError, match="stages name c, which are no auxiliary tasks"):
        AuxDistillConfig("main", ("a", "b"), stages=("a", "c"))
    with pytest.raises(ValueError, match="needs to know which auxiliary task trains which stage"):
        AuxDistillConfig("main", ("a",))
    with pytest.raises(ValueError, match="gamma must lie"):
        AuxDistillConfig("main", relevance="none", gamma=1.5)
    config = AuxDistillConfig("main", ("a", "b"), relevance="none", num_envs=10, minibatches=2, main_share=0.4)
    assert config.env_tasks() == ["main"] * 4 + ["a", "b"] * 3
    assert math.isclose(config.updates, config.steps // 320)
    assert [config.weight(update) for update in (0, 5)] == [0.1, 0.1]
    ramped = dataclasses.replace(config, distill_ramp=6400)
    assert [ramped.weight(update) for update in (0, 10, 40)] == pytest.approx([0.0, 0.05, 0.1])
