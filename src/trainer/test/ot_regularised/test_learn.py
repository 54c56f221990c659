"""The proxy reward against POT and by hand, partners, memory, and training that is stopped and carried on."""

import dataclasses
import math

import numpy as np
import ot
import pytest
import torch

from polytask_policy.expert import ExpertPolicy
from polytask_robot_io.embodiment import Embodiment
from polytask_suites import EMBODIMENTS, make_batch
from polytask_trainer.common.errors import ResumeError
from polytask_trainer.common.settings import ConfigError
from polytask_trainer.experiments.framework.scores import Scores
from polytask_trainer.experiments.others.ot_regularised import joined
from polytask_trainer.experts.spec import describe
from polytask_trainer.ot_regularised.collect import ReplayBuffer, play
from polytask_trainer.ot_regularised.config import SacConfig, TasksConfig, TransportConfig, tasks_config
from polytask_trainer.ot_regularised.learn import learn_tasks
from polytask_trainer.ot_regularised.proxy import Pool, ground_cost, pair_points, places, proxy_rewards, shares
from polytask_trainer.ot_regularised.suites import expert, make_learner

TRANSPORT = TransportConfig(sigma=0.5, beta=2.0, epsilon=0.05, points=12)
TABLES = SacConfig(hidden=(), gamma=0.5, temperature=0.2, learning_rate=0.1)


def clouds(seed, batch=3, lengths=(7, 9), size=2):
    rng = np.random.default_rng(seed)
    return tuple(torch.from_numpy(rng.random((batch, length, size))) for length in lengths)


@pytest.mark.parametrize("kind", ["euclidean", "squared"])
def test_proxy_rewards_are_those_of_pots_plans(kind):
    config = dataclasses.replace(TRANSPORT, cost=kind)
    own, other = clouds(0)
    found = proxy_rewards(own, other, config).numpy()
    for mine, theirs, rewards in zip(own.numpy(), other.numpy(), found, strict=True):
        cost = ot.dist(mine, theirs, metric="sqeuclidean" if kind == "squared" else "euclidean")
        plan = ot.sinkhorn(
            ot.unif(7), ot.unif(9), cost, reg=0.05, method="sinkhorn_log", numItermax=20000, stopThr=1e-10
        )
        expected = 0.5 * np.exp(-2.0 * 7 * (plan * cost).sum(axis=1))
        assert np.allclose(rewards, expected, rtol=1e-3)


def test_proxy_rewards_lie_between_0_and_sigma():
    own, other = clouds(1, batch=20)
    for scale in (1e-3, 1.0, 20.0):
        rewards = proxy_rewards(scale * own, scale * other + 0.1, TRANSPORT)
        assert bool(((rewards > 0.0) & (rewards < TRANSPORT.sigma)).all())


def test_proxy_rewards_reach_both_ends_in_floating_point():
    """A point where the other's only one is earns sigma itself; at the toll's beta, one that is not earns nothing."""
    toll = dataclasses.replace(TRANSPORT, beta=10_000.0)
    own = torch.tensor([[[0.3, 0.7]], [[0.3, 0.8]]]).double()
    assert proxy_rewards(own, own[:1].expand(2, 1, 2), toll).flatten().tolist() == [TRANSPORT.sigma, 0.0]


def test_two_points_by_hand():
    """Points 0 and 1 to 0 and 3: each stays with its own, the second moves by 2."""
    own, other = torch.tensor([[[0.0], [1.0]]]).double(), torch.tensor([[[0.0], [3.0]]]).double()
    assert torch.allclose(shares(own, other, TRANSPORT), torch.tensor([[0.0, 2.0]]).double(), atol=1e-6)
    rewards = proxy_rewards(own, other, TRANSPORT)
    assert torch.allclose(rewards, torch.tensor([[0.5, 0.5 * math.exp(-4.0)]]).double(), atol=1e-6)


def test_coming_closer_pays_and_shares_sum_to_the_transports_cost():
    own, other = clouds(2)
    near = proxy_rewards(own + 0.5, other, TRANSPORT).sum()
    assert near > proxy_rewards(own + 1.0, other, TRANSPORT).sum()
    cost = ground_cost(own, other, "euclidean")[0].numpy()
    plan = ot.sinkhorn(ot.unif(7), ot.unif(9), cost, reg=0.05, method="sinkhorn_log", numItermax=20000, stopThr=1e-10)
    assert float(shares(own, other, TRANSPORT)[0].mean()) == pytest.approx((plan * cost).sum(), rel=1e-3)


def test_going_on_along_anothers_way_earns_more_than_crowding_at_its_beginning():
    way = torch.linspace(0.0, 1.0, 24).view(1, -1, 1).double()
    lingering = torch.cat([torch.full((1, 20, 1), 0.02).double(), torch.linspace(0.05, 0.3, 4).view(1, -1, 1)], dim=1)
    rewards = proxy_rewards(lingering, way, TRANSPORT)[0]
    assert rewards[-1] > rewards[:20].mean()
    assert rewards[-4:].mean() > rewards[:20].mean()


def test_actions_are_their_weight_apart():
    states = np.zeros((3, 2))
    discrete = pair_points(states, np.array([0, 3, 3]), 4, 0.7)
    assert discrete.shape == (3, 6)
    assert np.linalg.norm(discrete[0] - discrete[1]) == pytest.approx(0.7)
    assert np.array_equal(discrete[1], discrete[2])
    continuous = pair_points(states, np.array([[-1, -1], [1, 1], [0, 0]], np.float32), 2, 0.7)
    assert np.linalg.norm(continuous[0] - continuous[1]) == pytest.approx(0.7)


@pytest.mark.parametrize("steps", [1, 5, 12, 40])
def test_every_step_of_a_trajectory_has_a_point_near_it(steps):
    taken = places(steps, 12)
    back = places(12, steps) if steps > 1 else np.array([0])
    assert (taken[0], taken[-1]) == (0, steps - 1)
    assert np.abs(taken[back] - np.arange(steps)).max() <= steps / 22 + 0.5


def test_partners_are_of_other_agents_of_the_group_and_similar_ones_are_nearer():
    config = dataclasses.replace(TRANSPORT, points=2, pool=3, candidates=8)
    pool = Pool(6, 3, 1, config)
    for agent in range(6):
        for _ in range(4 if agent == 1 else 2):
            pool.add(agent, np.full((2, 1), float(agent)), 0.0)
    generator = torch.Generator().manual_seed(0)
    for agent in range(6):
        drawn = pool.draw(torch.full((60,), agent), generator)[0][:, 0, 0].unique().tolist()
        assert drawn == [other for other in range(agent // 3 * 3, agent // 3 * 3 + 3) if other != agent]
    near = Pool(6, 3, 1, dataclasses.replace(config, pairing="similar"))
    near.points, near.weights, near.counts = pool.points, pool.weights, pool.counts
    rewards = near.rewards([0] * 20, [np.full((2, 1), 0.9)] * 20, generator)
    expected = config.sigma * math.exp(-config.beta * 0.1)
    assert (rewards > expected - 1e-6).float().mean() > 0.9, "one of eight is nearly always agent 1's"


def test_partners_by_return_are_those_that_earned_something():
    config = dataclasses.replace(TRANSPORT, points=2, pool=2, pairing="return")
    pool = Pool(4, 2, 1, config)
    for agent, earned in ((0, 0.0), (1, 0.0), (2, 1.0), (3, 0.0), (2, 0.0)):
        pool.add(agent, np.full((2, 1), 10.0 * agent + earned), earned)
    generator = torch.Generator().manual_seed(0)
    points, there = pool.draw(torch.tensor([3] * 20 + [0, 1, 2]), generator)
    assert points[:20].unique().tolist() == [21.0]
    assert there.tolist() == [True] * 20 + [False] * 3
    rewards = pool.rewards([0, 3], [np.zeros((2, 1)), np.full((2, 1), 21.0)], generator)
    assert rewards.tolist() == [[config.sigma] * 2, [config.sigma] * 2], "nobody to be unlike, and nothing unlike"


@pytest.mark.parametrize("sharing", [True, False])
def test_what_is_learned_from_is_never_a_reason_not_to_arrive(sharing):
    """Rewards in memory: the environment's, less the cost of a step, less what proxy rewards are below sigma."""
    method = "ot_regularised" if sharing else "separate"
    found = learner(method, step_cost=0.1)
    played = found.round()
    kept = found.memory.to_tensors()["rewards"] - found._by_agent(played.rewards)[:, -found.config.replay :]
    assert float(kept.max()) <= -0.1 + 1e-6
    assert bool((kept < -0.1 - 1e-3).any()) == sharing


def test_memory_keeps_the_latest_of_each_task():
    memory = ReplayBuffer(4)
    for first in (0, 3):
        values = torch.arange(first, first + 3).float().expand(2, 3) + torch.tensor([[0.0], [100.0]])
        memory.add(states=values, actions=values, rewards=values, next_states=values, terminated=values > 0)
    drawn = memory.sample(200, torch.Generator().manual_seed(0)).rewards
    assert drawn[0].unique().tolist() == [2.0, 3.0, 4.0, 5.0]
    assert drawn[1].unique().tolist() == [102.0, 103.0, 104.0, 105.0]
    other = ReplayBuffer(4)
    other.from_tensors(memory.to_tensors())
    first, second = (one.sample(50, torch.Generator().manual_seed(1)).rewards for one in (memory, other))
    assert torch.equal(first, second)


def learner(method="ot_regularised", tasks=("apart-a", "apart-b"), **settings):
    small = {"updates_per_step": 0.02, "sac": TABLES, "transport": TRANSPORT, **settings}
    config = TasksConfig(method, steps=2000, environments=2, replay=1500, checkpoint_seconds=0.0, **small)
    return make_learner(config, "maze", tasks)


def test_a_round_is_cut_into_episodes():
    env = make_batch("maze", ["apart-a"] * 3)
    rng = np.random.default_rng(0)
    played = play(env, lambda _: rng.integers(0, 4, 3), [1, 2, 3], 400)
    covered = np.zeros((400, 3), int)
    for environment, steps, whole in played.episodes():
        covered[steps, environment] += 1
        assert whole == bool(played.ended[steps.stop - 1, environment])
        assert not played.ended[steps.start : steps.stop - 1, environment].any()
        inside = slice(steps.start, steps.stop - 1)
        assert np.array_equal(played.next_states[inside, environment], played.states[steps, environment][1:])
    assert (covered == 1).all()


def test_proxy_rewards_of_a_round_fill_every_step():
    found = learner(repetitions=2)
    played = found.round()
    rewards = found.proxy(played)
    assert rewards.shape == played.rewards.shape
    assert bool(((rewards > 0.0) & (rewards <= TRANSPORT.sigma)).all())
    assert np.array(found.curve[0]["success"]).shape == (2, 2)


@pytest.mark.parametrize("method", ["ot_regularised", "distral", "separate"])
def test_stopped_and_carried_on_is_as_never_stopped(tmp_path, method):
    whole, again = learner(method), learner(method)
    assert learn_tasks(whole, tmp_path / "whole")
    finished, calls = False, 0
    while not finished:
        again, before = learner(method), calls
        finished = learn_tasks(again, tmp_path / "parts", should_stop=lambda a=again, n=before: a.rounds > n)
        calls += 1
    assert calls == 4, "one round of the four in each"
    assert again.curve == whole.curve
    assert torch.equal(again.agents.policy.layers.rows, whole.agents.policy.layers.rows)
    with pytest.raises(ResumeError, match="other tasks or settings"):
        learn_tasks(learner(method, seed=1), tmp_path / "whole")


def test_one_task_has_nobody_to_share_with():
    with pytest.raises(ValueError, match="name at least two"):
        learner(tasks=("apart-a",))
    assert learner("separate", tasks=("apart-a",)).round() is not None


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"method": "share"}, "method must be"),
        ({"transport": {"beta": 0.0}}, "transport.beta"),
        ({"transport": {"gamma": 1.0}}, "unknown settings gamma"),
        ({"sac": {"gamma": 1.0}}, "sac.gamma"),
        ({"steps": 0}, "steps must be positive"),
    ],
)
def test_wrong_settings_are_refused(wrong, complaint):
    with pytest.raises(ConfigError, match=complaint):
        tasks_config(wrong)


def test_a_training_counts_once_however_many_tasks_it_has():
    scores = Scores()
    for task, seed, value in (("a", 0, 0.2), ("b", 0, 0.4), ("c", 0, 0.9), ("a", 1, 0.6), ("b", 1, 0.8), ("c", 1, 0.9)):
        scores.add("separate", task, seed, value)
    assert joined(scores, ["a", "b"]).of("separate", "all") == pytest.approx([0.3, 0.7])


def test_settings_survive_being_written():
    config = TasksConfig("distral", seed=3, sac=SacConfig(hidden=(8, 8), target_entropy=-2.0))
    assert tasks_config(dataclasses.asdict(config)) == config


def test_agents_with_continuous_actions_become_experts_that_act_alike(tmp_path):
    """Cheetahs in single environments, a round with proxy rewards and updates, then one agent as a checkpoint."""
    tasks = ("cheetah-run-80", "cheetah-run-125")
    config = TasksConfig(
        steps=500, environments=1, updates_per_step=0.01, sac=SacConfig(hidden=(8, 8)), transport=TRANSPORT
    )
    found = make_learner(config, "dmc", tasks)
    played = found.round()
    found.close()
    assert found.step == 500
    assert found.curve[0]["return"][0] == pytest.approx(played.rewards.sum(0).tolist(), abs=1e-3)
    expert(found, 1, describe("dmc", tasks[1], Embodiment.load(EMBODIMENTS["dmc"]))).save(tmp_path)
    states = played.states[::50, 1]
    own = found.agents.act(np.stack([found._see(states)] * 2), greedy=True)[1]
    assert np.allclose(ExpertPolicy.load(tmp_path).act(states), own, atol=1e-6)


def test_mazes_have_tables_and_no_experts():
    with pytest.raises(ValueError, match="choose among moves"):
        expert(learner("separate"), 0, describe("dmc", "cheetah-run-80", Embodiment.load(EMBODIMENTS["dmc"])))
    with pytest.raises(ValueError, match="without hidden layers"):
        make_learner(TasksConfig(), "maze", ["apart-a", "apart-b"])
