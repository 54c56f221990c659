"""Real time: rate, stamps, what starts an episode, and what is held when commands stop."""

import re
import time

import numpy as np
import pytest
import rclpy
from sim_client import Client, simulator, vector

from polytask_interfaces.msg import Command, EpisodeStatus
from polytask_robot_io import qos
from polytask_robot_io.stamps import to_ns

pytestmark = pytest.mark.timed


@pytest.fixture(scope="module")
def ros_domain(module_ros_domain):
    return module_ros_domain


@pytest.fixture(scope="module")
def real_time(module_ros_domain):
    with simulator("task:=drawer-open", "seed:=3"):
        client = Client()
        yield client
        client.close()


def test_states_come_at_the_rate_with_stamps_of_now(real_time):
    real_time.spin(0.3)
    real_time.states.clear()
    real_time.spin(2.0)
    stamps = np.array([to_ns(message.header.stamp) for message in real_time.states]) / 1e9
    assert 36 <= len(stamps) <= 42
    assert np.median(np.diff(stamps)) == pytest.approx(0.05, abs=0.003)
    assert abs(time.time() - stamps[-1]) < 1.0
    assert not real_time.clocks


def test_an_episode_begins_with_its_first_command_and_holds_without_fresh_ones(real_time):
    first = vector(real_time.reset("reach", 5).state)
    real_time.spin(0.3)
    assert real_time.statuses[-1].step == 0
    assert np.array_equal(vector(real_time.states[-1]), first)
    real_time.send([1, 0, 0, 0])
    real_time.until(lambda: real_time.statuses[-1].step >= 2)
    assert vector(real_time.states[-1])[0] > first[0]
    # The command is too old after 0.25 s: from then on the commanded target stays where it is.
    real_time.until(lambda: real_time.diagnosis("stale commands") is not None)
    real_time.spin(0.4)
    target = [vector(message)[0] + vector(message)[3] for message in real_time.states[-5:]]
    assert np.ptp(target) < 1e-6
    assert real_time.statuses[-1].termination_reason == EpisodeStatus.RUNNING
    assert "holding still" in real_time.diagnosis("stale commands last reason")


def test_a_command_for_the_episode_before_is_ignored(real_time):
    old = to_ns(real_time.states[-1].header.stamp)
    real_time.reset("reach", 6)
    real_time.send([1, 0, 0, 0], old)
    real_time.until(lambda: "the episode before" in (real_time.diagnosis("commands ignored last reason") or ""))
    assert real_time.statuses[-1].step == 0


HOUR = 3600 * 10**9
SECOND = 10**9


@pytest.mark.parametrize(
    ("answers", "issued", "what", "reason"),
    [
        (None, HOUR, "commands from the future", r"one is stamped 3(599|600)\.\d+ s from now, limit 0.25 s"),
        (None, SECOND, "commands from the future", r"one is stamped [01]\.\d+ s from now"),
        (None, -SECOND, "stale commands", r"one was 1\.\d+ s old on arrival"),
        (None, None, "commands without a stamp", "the header has no stamp"),
        (HOUR, 0, "commands from the future", r"one answers an observation of 3(599|600)\.\d+ s from now"),
        (-SECOND, 0, "stale commands", r"one answers an observation of 1\.\d+ s ago"),
    ],
)
def test_a_command_that_is_not_for_now_is_dropped_and_told(real_time, answers, issued, what, reason):
    first = vector(real_time.reset("reach", 8).state)
    real_time.spin(1.5)  # so that an observation of one second ago is of this episode
    now = time.time_ns()
    dropped = int(real_time.diagnosis(what) or 0)
    real_time.send([1, 0, 0, 0], 0 if answers is None else now + answers, 0 if issued is None else now + issued)
    real_time.until(lambda: int(real_time.diagnosis(what) or 0) == dropped + 1)
    assert re.search(reason, real_time.diagnosis(f"{what} last reason"))
    assert real_time.statuses[-1].step == 0
    assert np.array_equal(vector(real_time.states[-1]), first)


def test_a_dropped_command_leaves_the_one_before_in_force(real_time):
    real_time.reset("reach", 8)
    for _ in range(6):
        real_time.send([1, 0, 0, 0])
        real_time.send([-1, 0, 0, 0], issued_ns=time.time_ns() + HOUR)
        real_time.spin(0.05)
    real_time.until(lambda: real_time.statuses[-1].step >= 4)
    target = [vector(message)[0] + vector(message)[3] for message in real_time.states]
    assert target[-1] > target[-4] - 1e-6
    real_time.until(lambda: real_time.diagnosis("commands from the future") is not None)


def test_of_two_drivers_the_first_is_obeyed_until_it_stops_or_falls_silent(real_time):
    other = rclpy.create_node("second_driver", context=real_time.context)
    second = other.create_publisher(Command, "command", qos.COMMAND)
    real_time.until(second.get_subscription_count)
    real_time.reset("reach", 9)
    what = "commands of another driver"

    def drive(seconds, *senders):
        """Each of (publisher, direction) every 50 ms; gives how far the commanded target went along x."""
        before = vector(real_time.states[-1])
        for _ in range(round(seconds / 0.05)):
            for publisher, direction in senders:
                real_time.send([direction, 0, 0, 0], publisher=publisher)
            real_time.spin(0.05)
        after = vector(real_time.states[-1])
        return (after[0] + after[3]) - (before[0] + before[3])

    assert drive(0.6, (real_time.commands, 1), (second, -1)) > 0.02
    real_time.until(lambda: int(real_time.diagnosis(what) or 0) >= 6)
    reason = real_time.diagnosis(f"{what} last reason")
    assert "one comes from '/second_driver' while '/client' drives" in reason
    assert "2 publishers of commands (/client, /second_driver)" in reason
    real_time.spin(0.4)  # silent for longer than max_age: now the other one drives
    assert drive(0.4, (second, -1)) < -0.02
    real_time.send([0, 0, 0, 0], publisher=second)  # stops, and gives way at once
    assert drive(0.2, (real_time.commands, 1), (second, -1)) > 0
    other.destroy_node()


def test_a_stop_that_answers_no_observation_is_obeyed(real_time):
    real_time.reset("reach", 10)
    real_time.send([1, 0, 0, 0], to_ns(real_time.states[-1].header.stamp))
    real_time.until(lambda: real_time.statuses[-1].step >= 1)
    real_time.send([0, 0, 0, 0])
    real_time.spin(0.1)
    target = [vector(message)[0] + vector(message)[3] for message in real_time.states[-1:]]
    real_time.spin(0.1)  # sooner than the first one would be too old
    assert vector(real_time.states[-1])[0] + vector(real_time.states[-1])[3] == pytest.approx(target[0], abs=1e-6)


def test_after_a_reset_the_next_observation_is_a_whole_period_later(real_time):
    for wait in (0.01, 0.02, 0.03):
        real_time.spin(0.2 + wait)
        first = to_ns(real_time.reset("reach", 6).state.header.stamp)
        real_time.until(lambda first=first: to_ns(real_time.states[-1].header.stamp) > first)
        after = min(stamp for message in real_time.states if (stamp := to_ns(message.header.stamp)) > first)
        assert (after - first) / 1e9 > 0.045


def test_a_nan_command_is_refused_and_it_goes_on(real_time):
    real_time.reset("reach", 7)
    real_time.send([float("nan"), 0, 0, 0])
    real_time.until(lambda: "finite number in dx" in (real_time.diagnosis("commands refused last reason") or ""))
    assert real_time.statuses[-1].step == 0
    real_time.send([0, 0, 0, 0])
    real_time.until(lambda: real_time.statuses[-1].step > 0)


def test_pictures_have_the_stamp_of_a_state(real_time):
    real_time.watch_camera()
    real_time.until(lambda: len(real_time.images) >= 5)
    stamps = {to_ns(message.header.stamp) for message in real_time.states}
    assert {to_ns(image.header.stamp) for image in real_time.images} <= stamps


def test_diagnostics_carry_rate_jitter_and_latency(real_time):
    real_time.until(lambda: real_time.diagnosis("tick rate [Hz]") is not None)
    assert float(real_time.diagnosis("tick rate [Hz]")) == pytest.approx(20, abs=5)  # a busy machine
    assert real_time.diagnosis("tick jitter [ms]") is not None
    assert real_time.diagnosis("step time p99 [ms]") is not None
