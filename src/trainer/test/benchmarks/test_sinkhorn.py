"""The comparison with POT: both ways give the same rewards."""

from __future__ import annotations

from polytask_trainer.benchmarks.sinkhorn import measure, measure_episode


def test_rewards_agree_with_pot_and_come_sooner() -> None:
    result = measure(episodes=3, steps=20, epsilon=0.1)
    assert result["pot_error"] < 1e-4
    assert result["difference"] < 1e-3
    assert result["ratio"] > 1


def test_rewards_as_they_are_used_are_nearly_those_of_an_exact_plan() -> None:
    result = measure_episode(steps=40, size=5, rounds=3)
    assert 0.0 < result["difference"] < 0.02
    assert result["ratio"] == result["pot"] / result["ours"]
