"""The comparison with POT: both ways give the same rewards."""

from __future__ import annotations

from polytask_trainer.benchmark import measure


def test_rewards_agree_with_pot_and_come_sooner() -> None:
    result = measure(episodes=3, steps=20, epsilon=0.1)
    assert result["pot_error"] < 1e-4
    assert result["difference"] < 1e-3
    assert result["ratio"] > 1
