import numpy as np
from toy_point import PointEnv, script

from polytask_trainer.common.trajectory import Trajectory
from polytask_trainer.rollouts.episode import replay, rollout


def still(state: np.ndarray) -> np.ndarray:
    return np.zeros(2, np.float32)


def test_a_training_episode_has_a_fixed_length_whatever_happens() -> None:
    episode = rollout(PointEnv(), still, 3, 25)
    assert (episode.states.shape, episode.actions.shape, episode.rewards.shape) == ((26, 4), (25, 2), (25,))
    assert np.array_equal(episode.states[0], PointEnv().reset(seed=3)[0]["state"])
    assert rollout(PointEnv(), script, 3, 50).success
    assert len(rollout(PointEnv(), script, 3, 50).actions) == 50


def test_the_step_at_which_the_environment_gives_up_is_left_out_of_a_training_episode() -> None:
    env = PointEnv()
    env.horizon = 10  # type: ignore[misc]
    assert len(rollout(env, still, 3, 25).actions) == 9
    assert len(rollout(env, still, 3, 25, until_success=True).actions) == 10
    assert len(rollout(env, still, 3).actions) == 10


def test_until_success_an_episode_ends_with_it() -> None:
    episode = rollout(PointEnv(), script, 3, until_success=True)
    assert episode.success
    distances = np.linalg.norm(episode.states[:, :2], axis=1)
    assert distances[-1] < 0.01 <= distances[:-1].min()
    assert not rollout(PointEnv(), still, 3, 7, until_success=True).success


def test_actions_played_again_lead_through_the_same_states() -> None:
    episode, env = rollout(PointEnv(), script, 3, 20), PointEnv()
    states = []
    for state in replay(env, episode.actions, 3):
        states.append(state)
        assert np.array_equal(env.state, state)  # the environment is there to be looked at
    assert np.array_equal(np.stack(states), episode.states)


def test_the_first_steps_of_a_trajectory() -> None:
    states, actions = np.arange(4, dtype=np.float32)[:, None], np.arange(3, dtype=np.float32)[:, None]
    frames = np.zeros((4, 3, 1, 1), np.uint8)
    part = Trajectory(states, actions, np.ones(3, np.float32), True, frames).until(2)
    assert part.states.flatten().tolist() == [0, 1, 2]
    assert part.actions.flatten().tolist() == [0, 1]
    assert part.rewards.tolist() == [1, 1]
    assert part.images is not None
    assert len(part.images) == 3
    assert Trajectory(states, actions).until(2).rewards.tolist() == []
