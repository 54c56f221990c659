"""The benchmark runs, and every way through ROS gives the states of in process, bit by bit."""

import numpy as np
import pytest
import rclpy

from polytask_sim_bridge.benchmark import actions_of, measure


def test_actions_follow_from_the_seed():
    one = actions_of(4, 50, 4)
    assert one.dtype == np.float32
    assert np.abs(one).max() <= 1
    assert np.array_equal(one, actions_of(4, 50, 4))
    assert not np.array_equal(one, actions_of(5, 50, 4))


@pytest.mark.slow
def test_all_ways_give_the_same_states():
    rclpy.init()
    try:
        table = measure("tabletop", "peg-green", episodes=2, steps=40)
    finally:
        rclpy.try_shutdown()
    assert set(table) == {"in_process", "lock_step", "service"}
    for way in ("lock_step", "service"):
        assert table[way]["same"]
        assert table[way]["ratio"] > 0
