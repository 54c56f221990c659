"""Commands: what is refused, what is cut and reported."""

import dataclasses

import numpy as np
import pytest
import robot_io_toys as toys

from polytask_robot_io.commands import CommandLimiter, check_command, command_message
from polytask_robot_io.errors import BadCommand
from polytask_robot_io.stamps import from_ns, to_ns

TOY = toys.embodiment()


def test_message_keeps_values_and_stamps_exactly():
    values = np.array([0.1, -0.7], dtype=np.float32)
    message = command_message(values, from_ns(5), from_ns(3_000_000_007), "base")
    assert np.array_equal(np.asarray(message.values, dtype=np.float32), values)
    assert to_ns(message.header.stamp) == 5
    assert to_ns(message.observation_stamp) == 3_000_000_007
    assert message.header.frame_id == "base"
    assert to_ns(command_message([0, 0]).observation_stamp) == 0


def test_good_commands_pass_unchanged():
    checked = check_command([0.5, -1.0], TOY)
    assert checked.values.dtype == np.float32
    assert checked.values.tolist() == [0.5, -1.0]
    assert checked.limited == ()


def test_what_goes_too_far_is_cut_and_reported():
    checked = check_command([1.5, 0.0], TOY)
    assert checked.values.tolist() == [1.0, 0.0]
    assert checked.limited == ("dx",)


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0, 3.0], [], [[0.0, 0.0]]])
def test_another_size_is_refused(values):
    with pytest.raises(BadCommand, match="2 values are declared: dx, grip"):
        check_command(values, TOY)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e300])
@pytest.mark.filterwarnings("error")
def test_non_finite_is_refused_by_name(bad):
    with pytest.raises(BadCommand, match="not a finite number in grip"):
        check_command([0.0, bad], TOY)


def test_rate_of_change_is_limited_where_declared():
    command = (TOY.command[0], dataclasses.replace(TOY.command[1], max_change=2.0))
    limiter = CommandLimiter(dataclasses.replace(TOY, command=command))
    first = limiter.apply([1.0, 1.0], 0.1)
    assert first.values == pytest.approx([1.0, 0.2])
    assert first.limited == ("grip",)
    assert limiter.apply([1.0, 1.0], 0.1).values == pytest.approx([1.0, 0.4])
    with pytest.raises(BadCommand):
        limiter.apply([1.0, float("nan")], 0.1)
    assert limiter.apply([0.0, 1.0], 0.1).values == pytest.approx([0.0, 0.6])  # the refused one left no trace
    limiter.reset()
    assert limiter.apply([0.0, 1.0], 0.1).values == pytest.approx([0.0, 0.2])


def test_what_was_handed_out_may_be_written_to():
    command = (TOY.command[0], dataclasses.replace(TOY.command[1], max_change=2.0))
    limiter = CommandLimiter(dataclasses.replace(TOY, command=command))
    limiter.apply([0.0, 1.0], 0.1).values[:] = 0.0
    assert limiter.apply([0.0, 1.0], 0.1).values == pytest.approx([0.0, 0.4])


def test_scaled_gives_the_declared_units():
    assert CommandLimiter(TOY).scaled(np.array([0.5, -1.0])).tolist() == [0.01, -1.0]
