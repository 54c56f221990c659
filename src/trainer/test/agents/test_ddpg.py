import numpy as np
import pytest
import torch
from toy_point import PointEnv, demonstration, script

from polytask_policy.networks import Actor
from polytask_trainer.agents.bc import CloningConfig, clone, pairs
from polytask_trainer.agents.ddpg import DDPG, AgentConfig, TwinCritic
from polytask_trainer.common.scales import state_scales
from polytask_trainer.common.trajectory import Trajectory
from polytask_trainer.replay.states import Batch, Replay
from polytask_trainer.rollouts.evaluate import evaluate, evaluation_seeds

SCALES = state_scales(("m", "m", "m/s", "m/s"))
CONFIG = AgentConfig(hidden=(32, 32), batch_size=32)


def agent(config: AgentConfig = CONFIG, seed: int = 0) -> DDPG:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        actor = Actor(2, 1, config.hidden)
    demos = np.ones((1, 2), np.float32), np.full((1, 1), 0.9, np.float32)
    return DDPG(actor, demos, config, torch.Generator().manual_seed(seed))


def batch(reward: float = 1.0, discount: float = 0.0) -> Batch:
    generator = torch.Generator().manual_seed(0)
    state, action = torch.randn(32, 2, generator=generator), torch.rand(32, 1, generator=generator) * 2 - 1
    return Batch(state, action, torch.full((32,), reward), torch.full((32,), discount), state)


def test_cloning_reproduces_the_script_on_new_starts() -> None:
    demos = [Trajectory(d.state, d.action) for d in map(demonstration, range(5))]
    actor = clone(*pairs(demos), (64, 64), SCALES, CloningConfig(steps=500), seed=0)

    @torch.no_grad()
    def policy(state: np.ndarray) -> np.ndarray:
        return actor(torch.from_numpy(state)).numpy()

    assert evaluate(policy, PointEnv(), evaluation_seeds(20)).rate >= 0.9
    assert evaluate(script, PointEnv(), evaluation_seeds(20)).rate == 1.0


def test_cloning_is_reproducible_and_leaves_the_global_generator_alone() -> None:
    data = pairs([Trajectory(demonstration().state, demonstration().action)])
    before = torch.get_rng_state()
    one, two = (clone(*data, (16,), SCALES, CloningConfig(steps=20), seed=3) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_scales_follow_the_units() -> None:
    assert state_scales(("m", "m/s", "rad")).tolist() == pytest.approx([0.1, 0.5, 0.5])
    with pytest.raises(ValueError, match="units furlong"):
        state_scales(("m", "furlong"))


def test_twin_critic_is_two_separate_networks() -> None:
    critic = TwinCritic((2, 1), 1, (8,), torch.Generator().manual_seed(0))
    state, action = torch.randn(5, 2), torch.randn(5, 1)
    both = critic(state, action)
    x = torch.cat([state, action], 1)
    for k in range(2):
        hidden = torch.relu(x @ critic.weights[0][k] + critic.biases[0][k])
        assert torch.allclose(both[k], (hidden @ critic.weights[1][k] + critic.biases[1][k]).squeeze(1), atol=1e-6)
    assert not torch.allclose(both[0], both[1])


def test_critic_learns_the_reward_and_the_discounted_value() -> None:
    learner = agent(AgentConfig(hidden=(32, 32), batch_size=32, learning_rate=3e-3, critic_rate=0.05))
    for _ in range(400):
        log = learner.update(batch(reward=1.0, discount=0.5), train_actor=False)
    assert float(log["q"]) == pytest.approx(2.0, abs=0.1)  # 1 + 0.5 + 0.25 + ...


def test_actor_follows_the_critic_and_the_demonstration() -> None:
    """With lambda 0 the actor climbs Q (here: reward = action), with lambda 1 it only clones."""
    for share, wanted in ((0.0, 1.0), (1.0, 0.9)):
        learner = agent(
            AgentConfig(hidden=(32, 32), batch_size=32, learning_rate=3e-3, bc_lambda=share, saturation=0.0)
        )
        data = batch()
        for _ in range(500):
            learner.update(Batch(data.state, data.action, data.action.squeeze(1), data.discount, data.state))
        assert float(learner.actor(torch.ones(1, 2)).detach()) == pytest.approx(wanted, abs=0.1)


def test_saturation_term_keeps_the_output_before_the_tanh_small() -> None:
    sizes = []
    for weight in (0.0, 1.0):
        learner = agent(
            AgentConfig(hidden=(32, 32), batch_size=32, learning_rate=3e-3, saturation=weight, bc_lambda=0.0)
        )
        data = batch()
        for _ in range(200):
            learner.update(Batch(data.state, data.action, data.action.squeeze(1), data.discount, data.state))
        sizes.append(float(learner.actor.layers(data.state).detach().abs().mean()))
    assert sizes[1] < 0.5 * sizes[0]


def test_critic_updates_alone_leave_the_actor() -> None:
    learner = agent()
    before = [p.clone() for p in learner.actor.parameters()]
    learner.update(batch(), train_actor=False)
    assert all(torch.equal(a, b) for a, b in zip(before, learner.actor.parameters(), strict=True))
    learner.update(batch())
    assert not all(torch.equal(a, b) for a, b in zip(before, learner.actor.parameters(), strict=True))


def test_averaged_actor_follows_slowly() -> None:
    learner = agent(AgentConfig(hidden=(32, 32), batch_size=32, average_rate=0.25))
    before = [p.clone() for p in learner.average.layers.parameters()]
    learner.update(batch())
    rows = zip(before, learner.average.layers.parameters(), learner.actor.layers.parameters(), strict=True)
    assert all(torch.allclose(b, a.lerp(new, 0.25), atol=1e-6) for a, b, new in rows)


def test_actions_stay_in_range_and_follow_the_generator() -> None:
    one, two = agent(seed=4), agent(seed=4)
    for _ in range(10):
        action = one.act(np.ones(2, np.float32), noise=2.0)
        assert action.dtype == np.float32
        assert np.abs(action).max() <= 1.0
        assert np.array_equal(action, two.act(np.ones(2, np.float32), noise=2.0))


def test_updates_are_reproducible() -> None:
    learners = agent(seed=1), agent(seed=1)
    for learner in learners:
        replay = Replay(50, 2, 1, 3, 0.99)
        replay.add(np.ones((11, 2), np.float32), np.ones((10, 1), np.float32), np.ones(10, np.float32))
        for _ in range(5):
            learner.update(replay.sample(32, learner.generator))
    pairs_of_weights = zip(*(learner.actor.state_dict().values() for learner in learners), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs_of_weights)


@pytest.mark.parametrize("setting", [{"gamma": 1.5}, {"batch_size": 0}, {"hidden": ()}, {"noise": -0.1}])
def test_wrong_settings_are_refused(setting: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"agent.{next(iter(setting))}"):
        AgentConfig(**setting)  # type: ignore[arg-type]
