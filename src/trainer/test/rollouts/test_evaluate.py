import numpy as np
import pytest
from toy_point import PointEnv, script

from polytask_trainer.rollouts.evaluate import (
    EVALUATION_SEEDS,
    TRAINING_SEEDS,
    evaluate,
    evaluation_seeds,
    random_policy,
    training_seed,
    wilson,
)


def test_successes_end_an_episode_and_failures_run_to_the_horizon() -> None:
    good = evaluate(script, PointEnv(), evaluation_seeds(5))
    assert good.successes == (True,) * 5
    assert max(good.lengths) < 40
    bad = evaluate(lambda _: np.zeros(2, np.float32), PointEnv(), evaluation_seeds(3), horizon=7)
    assert bad.rate == 0.0
    assert bad.lengths == (7, 7, 7)
    assert evaluate(random_policy(2), PointEnv(), [EVALUATION_SEEDS]).lengths == (60,)


def test_the_same_seeds_give_the_same_outcome() -> None:
    one, two = (evaluate(random_policy(2, seed=1), PointEnv(), evaluation_seeds(4, first=9)) for _ in range(2))
    assert one == two
    assert one.seeds[0] == EVALUATION_SEEDS + 9


def test_figures_for_the_report() -> None:
    figures = evaluate(script, PointEnv(), evaluation_seeds(10)).to_json()
    assert figures["success"] == 1.0
    assert figures["low"] == pytest.approx(0.7225, abs=1e-3)
    assert figures["failed_seeds"] == []


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"), [(0, 0, 0.0, 1.0), (5, 10, 0.2366, 0.7634), (40, 40, 0.9124, 1.0)]
)
def test_wilson_intervals(successes: int, trials: int, low: float, high: float) -> None:
    """Expected values: R's binom.confint(method = "wilson")."""
    assert wilson(successes, trials) == pytest.approx((low, high), abs=1e-4)


def test_training_starts_are_never_evaluation_starts() -> None:
    assert max(evaluation_seeds(1000)) < TRAINING_SEEDS <= training_seed(0, 0)
    assert training_seed(0, 99_999) < training_seed(1, 0)


def test_no_seeds_is_refused() -> None:
    with pytest.raises(ValueError, match="no seeds"):
        evaluate(script, PointEnv(), [])
