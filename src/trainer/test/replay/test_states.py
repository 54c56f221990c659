import numpy as np
import pytest
import torch

from polytask_trainer.replay.states import Replay


def filled(n_step: int = 3, gamma: float = 0.5) -> Replay:
    replay = Replay(20, 1, 1, n_step, gamma)
    states = np.arange(6, dtype=np.float32)[:, None]
    replay.add(states, states[:-1], np.array([1, 2, 4, 8, 16], dtype=np.float32))
    return replay


def test_returns_discounts_and_next_states() -> None:
    """By hand: full three-step returns first; at the end of the episode fewer steps, bootstrapped from its end."""
    tensors = filled().to_tensors()
    assert tensors["rewards"].tolist() == [1 + 1 + 1, 2 + 2 + 2, 4 + 4 + 4, 8 + 8, 16]
    assert tensors["next_states"].flatten().tolist() == [3, 4, 5, 5, 5]
    assert tensors["discounts"].tolist() == [0.125, 0.125, 0.125, 0.25, 0.5]


def test_episodes_do_not_run_into_each_other() -> None:
    replay = filled()
    replay.add(np.full((3, 1), 9, np.float32), np.zeros((2, 1), np.float32), np.zeros(2, np.float32))
    assert replay.to_tensors()["next_states"].flatten().tolist() == [3, 4, 5, 5, 5, 9, 9]
    assert replay.export()["states"].flatten().tolist() == [0, 1, 2, 3, 4, 9, 9]


def test_samples_are_rows_and_follow_the_generator() -> None:
    replay = filled()
    one, two = (replay.sample(64, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one.state, two.state)
    assert torch.equal(one.state, one.action)
    assert set(one.state.flatten().tolist()) == {0, 1, 2, 3, 4}


def test_tensors_restore_it() -> None:
    replay, other = filled(), Replay(20, 1, 1, 3, 0.5)
    other.from_tensors(replay.to_tensors())
    assert other.size == 5
    for name, values in replay.to_tensors().items():
        assert torch.equal(values, other.to_tensors()[name])


def test_a_full_or_unfit_episode_is_refused() -> None:
    replay = Replay(4, 1, 1, 3, 0.9)
    with pytest.raises(ValueError, match="replay is full"):
        replay.add(np.zeros((6, 1), np.float32), np.zeros((5, 1), np.float32), np.zeros(5, np.float32))
    with pytest.raises(ValueError, match="2 states and 2 rewards"):
        replay.add(np.zeros((2, 1), np.float32), np.zeros((2, 1), np.float32), np.zeros(2, np.float32))
