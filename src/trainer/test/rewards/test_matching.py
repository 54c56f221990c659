import dataclasses

import numpy as np
import pytest

import polytask_trainer.rewards.matching as module
from polytask_trainer.rewards.features import parse_features
from polytask_trainer.rewards.matching import MatchingConfig, MatchingReward

FEATURES = parse_features([{"name": "p", "kind": "value", "entries": ["x", "y"], "scale": 1.0}], ("x", "y"))


def line(length: int, x: float = 1.0, y: float = 0.0) -> np.ndarray:
    return np.linspace([0.0, 0.0], [x, y], length + 1).astype(np.float32)


@pytest.mark.parametrize("reward", ["exp", "cost"])
@pytest.mark.parametrize("plan", ["transport", "nearest"])
@pytest.mark.parametrize("cost", ["euclidean", "cosine"])
def test_the_closer_trajectory_earns_more(plan: str, reward: str, cost: str) -> None:
    matching = MatchingReward([line(10)], FEATURES, 10, MatchingConfig(plan=plan, reward=reward, cost=cost))  # type: ignore[arg-type]
    near, far = matching(line(10, y=0.2)), matching(line(10, y=1.0))
    assert near.dtype == np.float32
    assert near.shape == (10,)
    assert near.sum() > far.sum()


def test_a_perfect_episode_sums_to_ten() -> None:
    matching = MatchingReward([line(10)], FEATURES, 10, MatchingConfig(epsilon=1e-3))
    assert matching(line(10)).sum() == pytest.approx(10.0, abs=1e-3)


def test_staying_at_the_end_matches_and_going_back_does_not() -> None:
    matching = MatchingReward([line(10)], FEATURES, 16)
    end, back = np.repeat(line(10)[-1:], 6, axis=0), np.repeat(line(10)[:1], 6, axis=0)
    stays, leaves = (matching(np.concatenate([line(10), tail])) for tail in (end, back))
    assert stays.sum() > leaves.sum() + 1.0


def test_transport_pays_for_a_part_only_once_where_the_nearest_frame_pays_on() -> None:
    """Waiting half way is near some frame for ever; under transport its mass has to go further and further."""
    halfway = line(20)[10]
    waits = np.concatenate([line(20)[:11], np.repeat(halfway[None], 10, axis=0)])
    config = MatchingConfig(time_weight=0.0, epsilon=1e-3)
    transport = MatchingReward([line(20)], FEATURES, 20, config)(waits)
    nearest = MatchingReward([line(20)], FEATURES, 20, dataclasses.replace(config, plan="nearest"))(waits)
    assert nearest.sum() == pytest.approx(10.0, abs=1e-3)
    assert transport.sum() < 9.0


def test_the_time_term_knows_the_way_there_from_the_way_back() -> None:
    forth = line(20)
    timed, blind = (
        MatchingReward([forth], FEATURES, 20, MatchingConfig(time_weight=w, epsilon=1e-3))(forth[::-1].copy()).sum()
        for w in (2.0, 0.0)
    )
    assert timed < blind - 1.0


def test_of_several_demonstrations_the_best_matching_counts() -> None:
    both = MatchingReward([line(10, y=3.0), line(12)], FEATURES, 12)
    one = MatchingReward([line(12)], FEATURES, 12)
    assert np.array_equal(both(line(12, y=0.1)), one(line(12, y=0.1)))


def test_original_reward_keeps_the_scale_of_its_first_episode() -> None:
    matching = MatchingReward([line(10)], FEATURES, 10, MatchingConfig(reward="cost", epsilon=0.01))
    first = matching(line(10, y=1.0))
    assert first.sum() == pytest.approx(-10.0, rel=1e-5)
    assert -10.0 < matching(line(10, y=0.5)).sum() < 0.0
    assert np.array_equal(matching(line(10, y=1.0)), first)


def test_lengths_may_differ() -> None:
    assert MatchingReward([line(30)], FEATURES, 20)(line(20)).shape == (20,)


@pytest.mark.parametrize(("steps", "size"), [(75, 9), (125, 39), (250, 9)])
@pytest.mark.parametrize("seed", [0, 1])
def test_rewards_are_within_two_percent_of_an_exact_plans(
    steps: int, size: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    shown, strays = (rng.normal(size=(steps + 1, size)).cumsum(0) / np.sqrt(size * steps) for _ in range(2))
    reward = MatchingReward([3.0 * shown], lambda one: one, steps)
    quick = reward(3.0 * shown + strays)
    monkeypatch.setattr(module, "ACCURACY", 1e-9)
    exact = reward(3.0 * shown + strays)
    assert np.abs(quick - exact).max() < 0.02 * exact.max()


@pytest.mark.parametrize("setting", [{"epsilon": 0.0}, {"time_weight": -1.0}])
def test_wrong_settings_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"matching.{next(iter(setting))}"):
        MatchingConfig(**setting)  # type: ignore[arg-type]


def test_arrival_is_where_an_episode_is_nearest_to_a_demonstrations_end() -> None:
    matching = MatchingReward([line(10), line(10, y=9.0)], FEATURES, 16)
    overshoots = np.linspace([0.0, 0.0], [3.0, 0.0], 31).astype(np.float32)
    assert matching.arrival(overshoots) == 10
