"""Lock-step over topics: what advances it, what does not, and the same episode as in process."""

import itertools
import math

import numpy as np
import pytest
import rclpy
from sim_client import Client, simulator, vector

from polytask_interfaces.msg import Command, EpisodeStatus
from polytask_robot_io import qos
from polytask_robot_io.stamps import to_ns
from polytask_sim_bridge.benchmark import actions_of
from polytask_suites import make_env

STEPS = 30


@pytest.fixture(scope="module")
def ros_domain(module_ros_domain):
    return module_ros_domain


@pytest.fixture(scope="module")
def reference():
    """States of one episode in process, seed 3."""
    env = make_env("tabletop", "drawer-open")
    states = [env.reset(seed=3)[0]["state"]]
    states += [env.step(action)[0]["state"] for action in actions_of(3, STEPS, 4)]
    env.close()
    return np.stack(states)


@pytest.fixture(scope="module")
def lock_step(module_ros_domain):
    with simulator("stepping_mode:=lock_step", "task:=drawer-open", "seed:=3"):
        client = Client()
        yield client
        client.close()


def test_first_episode_waits_for_whoever_comes_late(lock_step, reference):
    lock_step.until(lambda: lock_step.statuses)
    assert lock_step.statuses[0].step == 0
    assert np.array_equal(vector(lock_step.states[0]), reference[0])
    stamps = {to_ns(message.header.stamp) for message in lock_step.states}
    assert len(stamps) == 1


def test_same_episode_as_in_process(lock_step, reference):
    first = lock_step.reset("drawer-open", 3).state
    lock_step.until(lambda: lock_step.states[-1].header.stamp == first.header.stamp)
    states = [vector(first)] + [vector(lock_step.lock_step(action)) for action in actions_of(3, STEPS, 4)]
    assert np.array_equal(np.stack(states), reference)
    lock_step.until(lambda: lock_step.statuses[-1].step == STEPS)


def test_simulated_time_goes_on_by_one_period_a_step(lock_step):
    first = lock_step.reset(seed=1).state
    second = lock_step.lock_step([0, 0, 0, 0])
    assert to_ns(second.header.stamp) - to_ns(first.header.stamp) == 50_000_000
    lock_step.until(lambda: lock_step.clocks[-1].clock == second.header.stamp)


def test_a_command_of_another_stamp_is_ignored_and_counted(lock_step):
    stamp = to_ns(lock_step.reset(seed=1).state.header.stamp)
    lock_step.until(lambda: lock_step.diagnostics)
    ignored = int(lock_step.diagnosis("commands ignored") or 0)
    for other in (stamp - 50_000_000, stamp + 1, 0):
        lock_step.send([1, 0, 0, 0], other)
    lock_step.until(lambda: int(lock_step.diagnosis("commands ignored") or 0) == ignored + 3)
    assert to_ns(lock_step.states[-1].header.stamp) == stamp


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ([float("nan"), 0, 0, 0], "not a finite number in dx"),
        ([0, 0, float("inf"), 0], "not a finite number in dz"),
        ([0.0, 0.0], "4 values are declared"),
        ([], "4 values are declared"),
    ],
)
def test_a_bad_command_is_refused_with_its_reason_and_it_goes_on(lock_step, command, reason):
    stamp = to_ns(lock_step.reset(seed=1).state.header.stamp)
    lock_step.until(lambda: to_ns(lock_step.states[-1].header.stamp) == stamp)
    lock_step.send(command, stamp)
    lock_step.until(lambda: reason in (lock_step.diagnosis("commands refused last reason") or ""))
    assert to_ns(lock_step.states[-1].header.stamp) == stamp
    assert to_ns(lock_step.lock_step([0.5, 0, 0, 0]).header.stamp) == stamp + 50_000_000


def test_a_command_beyond_the_limits_is_cut_and_reported(lock_step):
    lock_step.reset(seed=5)
    lock_step.until(lambda: lock_step.statuses[-1].seed == 5)
    one = vector(lock_step.lock_step([1, 0, 0, 0]))
    lock_step.reset(seed=5)
    lock_step.until(lambda: lock_step.statuses[-1].step == 0)
    assert np.array_equal(vector(lock_step.lock_step([7, 0, 0, 0])), one)
    lock_step.until(lambda: lock_step.diagnosis("commands cut to their limits last reason") == "dx")


def test_of_two_drivers_the_first_is_obeyed_until_it_stops(lock_step):
    other = rclpy.create_node("second_driver", context=lock_step.context)
    second = other.create_publisher(Command, "command", qos.COMMAND)
    lock_step.until(second.get_subscription_count)
    first = lock_step.reset(seed=1).state.header.stamp
    lock_step.until(lambda: lock_step.states[-1].header.stamp == first)
    stamp = to_ns(lock_step.lock_step([0, 0, 0, 0]).header.stamp)
    lock_step.send([1, 0, 0, 0], stamp, publisher=second)
    lock_step.until(lambda: lock_step.diagnosis("commands of another driver") == "1")
    reason = lock_step.diagnosis("commands of another driver last reason")
    assert "one comes from '/second_driver' while '/client' drives" in reason
    assert to_ns(lock_step.states[-1].header.stamp) == stamp
    stamp = to_ns(lock_step.lock_step([0, 0, 0, 0]).header.stamp)
    lock_step.send([0, 0, 0, 0])  # the first one's goal is at its end
    lock_step.spin(0.1)
    lock_step.send([1, 0, 0, 0], stamp, publisher=second)
    lock_step.until(lambda: to_ns(lock_step.states[-1].header.stamp) > stamp)
    other.destroy_node()


def test_reset_in_mid_episode_aborts_the_old_one(lock_step):
    old = lock_step.reset("reach", 1).status.episode_id
    lock_step.until(lambda: lock_step.statuses[-1].episode_id == old)
    lock_step.lock_step([0, 0, 0, 0])
    lock_step.statuses.clear()
    new = lock_step.reset("box-open", 2).status
    assert (new.task, new.seed, new.step, new.termination_reason) == ("box-open", 2, 0, EpisodeStatus.RUNNING)
    lock_step.until(lambda: any(status.episode_id == new.episode_id for status in lock_step.statuses))
    aborted = [status for status in lock_step.statuses if status.termination_reason == EpisodeStatus.ABORTED]
    assert [(status.episode_id, status.ended) for status in aborted] == [(old, True)]


def test_an_ended_episode_stands_still_until_reset(lock_step):
    lock_step.reset("drawer-close", 4)
    lock_step.until(lambda: lock_step.statuses[-1].seed == 4 and lock_step.statuses[-1].step == 0)
    for _ in range(100):
        lock_step.lock_step([0, 0, 0, 0])
    lock_step.until(lambda: lock_step.statuses[-1].ended)
    assert lock_step.statuses[-1].termination_reason == EpisodeStatus.TIME_LIMIT
    assert lock_step.statuses[-1].step == 100
    last = lock_step.states[-1].header.stamp
    lock_step.send([0, 0, 0, 0], to_ns(last))
    lock_step.spin(0.3)
    assert lock_step.states[-1].header.stamp == last
    lock_step.reset()
    lock_step.until(lambda: lock_step.states[-1].header.stamp != last)
    lock_step.lock_step([0, 0, 0, 0])


@pytest.mark.parametrize(
    ("task", "seed", "reason"), [("fly", 0, "has no task 'fly'; it has: reach"), ("", -2, "seed -2 is below -1")]
)
def test_a_bad_reset_changes_nothing(lock_step, task, seed, reason):
    before = lock_step.reset("reach", 7).status.episode_id
    answer = lock_step.reset(task, seed)
    assert not answer.ok
    assert reason in answer.message
    lock_step.until(lambda: lock_step.statuses[-1].episode_id == before)
    lock_step.lock_step([0, 0, 0, 0])
    assert lock_step.statuses[-1].termination_reason == EpisodeStatus.RUNNING


def test_step_episode_is_refused(lock_step):
    answer = lock_step.step([0, 0, 0, 0])
    assert not answer.ok
    assert "stepping mode service" in answer.message


def test_pictures_come_when_watched_with_the_states_stamp(lock_step):
    lock_step.watch_camera()
    lock_step.until(lambda: lock_step.images)  # the waiting observation comes again, now with a picture
    state = lock_step.lock_step([0, 0, 0, 0])
    lock_step.until(lambda: lock_step.images[-1].header.stamp == state.header.stamp)
    image = lock_step.images[-1]
    assert (image.width, image.height, image.encoding) == (84, 84, "rgb8")
    assert image.header.frame_id == "camera_optical_frame"
    assert np.ptp(np.frombuffer(image.data, np.uint8)) > 50
    lock_step.until(lambda: lock_step.infos and lock_step.infos[-1].header == image.header)
    # 45 degrees of view over 84 rows.
    assert lock_step.infos[-1].k[4] == pytest.approx(42 / math.tan(math.radians(22.5)))


def test_joint_states(lock_step):
    assert lock_step.joints[-1].name[0] == "joint1"
    assert len(lock_step.joints[-1].position) == len(lock_step.joints[-1].velocity) == len(lock_step.joints[-1].name)


def test_stamps_go_on_through_resets(lock_step):
    for seed in range(3):
        lock_step.reset(seed=seed)
        lock_step.until(lambda seed=seed: lock_step.statuses[-1].seed == seed)
    stamps = [to_ns(message.header.stamp) for message in lock_step.states]
    assert all(one <= two for one, two in itertools.pairwise(stamps))
