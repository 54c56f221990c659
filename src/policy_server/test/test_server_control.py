"""The control loop, with clocks that the test turns."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from polytask_interfaces.msg import EpisodeStatus
from polytask_policy.policy_spec import PolicySpec
from polytask_policy.view import View
from polytask_policy_server.control import SIMULATION_PATIENCE, ControlLoop
from polytask_policy_server.run import Run
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.observation import Observation
from polytask_robot_io.outcomes import End, Outcome

EMBODIMENT = Embodiment.from_yaml((Path(__file__).parent / "toy.yaml").read_text())
PERIOD = EMBODIMENT.period_ns
VIEW = View(PolicySpec("toy", ("go",), ("x", "y"), ("dx", "dy")), ("x", "y"))


class Bench:
    """A control loop with everything around it."""

    def __init__(self, simulated_time=False):
        self.now = 10 * 10**9
        self.steady = 5.0
        self.sent = []
        self.ends = []
        self.feedbacks = 0
        self.refusals = []
        self.loop = ControlLoop(EMBODIMENT, self, lambda: self.now, lambda: self.steady, simulated_time)

    def send(self, values, observation_ns):
        self.sent.append((list(values), observation_ns))

    def ended(self, run, end):
        self.ends.append((run, end))

    def feedback(self, run):
        self.feedbacks += 1

    def refused(self, reason):
        self.refusals.append(reason)

    def missing(self):
        return []

    def act(self, state, goal, images):
        assert images is None
        return np.full(2, 2.0 if goal.task == "far" else 0.5, np.float32)

    def begin(self, task="go", timeout=30.0):
        self.run = Run(None, SimpleNamespace(act=self.act), VIEW, SimpleNamespace(task=task), timeout, self.now)
        self.loop.begin(self.run)

    def pass_time(self, seconds, steady=None):
        self.now += round(seconds * 1e9)
        self.steady += seconds if steady is None else steady

    def see(self, stamp=None):
        stamp = self.now if stamp is None else stamp
        self.loop.observe(Observation(stamp, np.zeros(2, np.float32)))
        return stamp

    def say(self, stamp=None, **status):
        message = EpisodeStatus(**{"episode_id": "e1", "task": "go", **status})
        stamp = self.now if stamp is None else stamp
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
        self.loop.hear(message)

    @property
    def outcome(self):
        return self.ends[-1][1].outcome if self.ends else None


def test_answers_each_observation_of_a_lock_step_as_fast_as_they_come():
    bench = Bench(simulated_time=True)
    stamp = bench.see()
    bench.begin()
    assert bench.sent == [([0.5, 0.5], stamp)]  # what was waiting is answered at once
    for _ in range(100):
        bench.pass_time(PERIOD * 1e-9, steady=0.0005)
        bench.see()
    assert bench.run.steps == 101
    assert bench.feedbacks == 1  # by steady time, not by steps
    bench.loop.check()
    assert bench.outcome is None


@pytest.mark.parametrize("before_the_goal", [True, False])
def test_an_observation_that_came_before_its_time_was_told_is_answered(before_the_goal):
    """State and clock reach a node in any order, and a simulation in lock-step shows each observation once."""
    bench = Bench(simulated_time=True)
    bench.now = 0
    if before_the_goal:
        bench.see(1_050_000_000)
        bench.now = 1_050_000_000
        bench.begin()
    else:
        bench.begin()
        bench.see(1_050_000_000)
        assert bench.sent == []
        bench.now = 1_050_000_000
        bench.loop.check()
        bench.loop.check()
    assert bench.sent == [([0.5, 0.5], 1_050_000_000)]
    assert not bench.ends


def test_same_observation_is_answered_once():
    bench = Bench()
    bench.begin()
    stamp = bench.see()
    bench.see(stamp)
    assert bench.run.steps == 1


@pytest.mark.parametrize("rate", [100, 25, 20.2, 20, 7])
def test_commands_are_no_more_frequent_than_the_control_rate(rate):
    bench = Bench()
    bench.begin()
    count = int(10 * rate)
    for _ in range(count):
        bench.pass_time(1 / rate)
        bench.see()
    assert bench.run.steps <= 201
    assert bench.run.steps >= min(count, 195)


def test_jitter_loses_no_observation():
    bench = Bench()
    bench.begin()
    generator = np.random.default_rng(0)
    for i in range(200):
        stamp = 10 * 10**9 + i * PERIOD + int(generator.uniform(-0.1, 0.1) * PERIOD)
        bench.now = stamp + 10**6
        bench.see(stamp)
    assert bench.run.steps == 200


def test_end_sends_zero_that_answers_nothing():
    bench = Bench()
    bench.begin()
    bench.see()
    bench.loop.end(Outcome.TIMED_OUT, "")
    bench.loop.end(Outcome.TIMED_OUT, "")
    assert bench.sent[-1] == ([0.0, 0.0], 0)
    assert len(bench.sent) == 2
    assert len(bench.ends) == 1


def test_commands_are_cut_to_the_limits():
    bench = Bench()
    bench.begin("far")
    bench.see()
    assert bench.sent[-1][0] == [1.0, 1.0]


def end_of(bench, seconds=1.0):
    """Let time pass with nothing more to see, at the pace of the node's timer."""
    for _ in range(round(seconds / 0.05)):
        bench.pass_time(0.05)
        bench.loop.check()
    return bench.ends[-1][1].message


@pytest.mark.parametrize(
    ("shift", "reason"),
    [
        (-EMBODIMENT.max_age_ns - 1, "s after its stamp, at most 0.3 s are allowed"),
        (-3600 * 10**9, "3600.000 s after its stamp"),
        (EMBODIMENT.max_age_ns + 1, "s in the future"),
        (3600 * 10**9, "3600.000 s in the future"),
    ],
)
def test_one_observation_with_a_wrong_stamp_is_dropped_and_many_end_the_goal(shift, reason):
    bench = Bench()
    bench.begin()
    bench.see()
    bench.pass_time(0.05)
    bench.see(bench.now + shift)
    bench.pass_time(0.05)
    bench.loop.check()
    bench.see()
    assert (bench.outcome, bench.run.steps, len(bench.refusals)) == (None, 2, 1)
    assert reason in bench.refusals[0]
    for _ in range(8):
        bench.pass_time(0.05)
        bench.see(bench.now + shift)
        bench.loop.check()
    assert bench.outcome == Outcome.STALE_OBSERVATIONS
    assert reason in bench.ends[-1][1].message
    assert bench.run.steps == 2
    assert bench.sent[-1] == ([0.0, 0.0], 0)


def test_one_malformed_observation_is_dropped_and_many_end_the_goal_with_their_reason():
    bench = Bench()
    bench.begin()
    bench.see()
    bench.loop.reject("state: not a finite number in y")
    bench.pass_time(0.05)
    bench.loop.check()
    bench.see()
    assert (bench.outcome, bench.run.steps) == (None, 2)
    # What is over is not blamed for a silence.
    assert "not a finite number" not in end_of(bench, 0.5)
    bench.begin()
    for _ in range(10):
        bench.loop.reject("state: not a finite number in y")
        bench.pass_time(0.05)
        bench.loop.check()
    assert bench.outcome == Outcome.STALE_OBSERVATIONS
    assert "state: not a finite number in y" in bench.ends[-1][1].message


def test_an_observation_from_the_future_hides_no_success():
    bench = Bench()
    bench.see(bench.now + 3600 * 10**9)
    bench.say()
    bench.begin()
    bench.pass_time(0.05)
    bench.say(success=True, ended=True, termination_reason=EpisodeStatus.SUCCEEDED)
    assert bench.outcome == Outcome.SUCCEEDED


def test_simulated_time_may_come_after_what_was_seen_at_it_but_not_by_hours():
    bench = Bench(simulated_time=True)
    bench.begin()
    bench.see(bench.now + EMBODIMENT.max_age_ns + 1)
    assert bench.run.steps == 1
    bench.see(1_795_000_000 * 10**9)  # by the system's clock
    assert bench.run.steps == 1
    assert "does not follow /clock" in bench.refusals[-1]


@pytest.mark.parametrize("timeout", [0.5, 3.0])
def test_without_simulated_time_a_goal_ends_on_steady_time_with_a_word_on_the_clock(timeout):
    bench = Bench(simulated_time=True)
    bench.now = 0
    bench.begin(timeout=timeout)
    for k in range(80):
        bench.pass_time(0.0, steady=0.05)
        bench.see(1_795_000_000 * 10**9 + k * PERIOD)
        bench.loop.check()
    assert len(bench.ends) == 1
    assert "nobody publishes /clock" in bench.ends[0][1].message
    assert bench.sent == [([0.0, 0.0], 0)]  # nothing was acted upon


@pytest.mark.parametrize("tick", [lambda k: 0, lambda k: 1, lambda k: 10**5 if k % 2 else -(10**5)])
def test_a_clock_that_stands_creeps_or_goes_back_makes_no_goal_endless(tick):
    bench = Bench(simulated_time=True)
    bench.begin(timeout=5.0)
    for k in range(20 * 600):
        bench.pass_time(0.0, steady=0.05)
        bench.now += tick(k)
        bench.see(10 * 10**9 + k % 40 * PERIOD)  # a recording that is played again and again
        bench.loop.check()
        if bench.ends:
            break
    assert bench.outcome == Outcome.TIMED_OUT
    assert bench.run.steps > 50
    assert "/clock stands at" in bench.ends[0][1].message


def test_a_system_clock_that_is_set_neither_ends_nor_prolongs_a_goal():
    bench = Bench()
    bench.begin(timeout=1.0)
    bench.see()
    for shift in (3600, -7200):
        bench.now += shift * 10**9
        bench.pass_time(0.05)
        bench.see()
        bench.loop.check()
        assert bench.outcome is None
    for _ in range(19):
        bench.pass_time(0.05)
        bench.see()
    assert bench.outcome == Outcome.TIMED_OUT


def test_goal_begins_with_the_next_observation_unless_the_last_is_new():
    for age, commands in ((0.005, 1), (0.03, 0)):
        bench = Bench()
        bench.see()
        bench.pass_time(age)
        bench.begin()
        assert len(bench.sent) == commands


def test_goal_waits_for_a_fresh_observation_but_not_for_ever():
    bench = Bench()
    bench.see()
    bench.pass_time(5.0)
    bench.begin()
    assert not bench.sent
    bench.pass_time(0.2)
    bench.loop.check()
    bench.see()
    assert bench.run.steps == 1
    bench.pass_time(EMBODIMENT.max_age + 0.01)
    bench.loop.check()
    assert bench.outcome == Outcome.STALE_OBSERVATIONS


def test_dead_simulation_is_noticed_although_its_time_stands_still():
    bench = Bench(simulated_time=True)
    bench.begin()
    bench.see()
    bench.pass_time(0.0, steady=SIMULATION_PATIENCE - 0.1)
    bench.loop.check()
    assert bench.outcome is None
    bench.pass_time(0.0, steady=0.2)
    bench.loop.check()
    assert bench.outcome == Outcome.STALE_OBSERVATIONS


def test_timeout_counts_simulated_time_from_its_first_tick():
    bench = Bench(simulated_time=True)
    bench.now = 0
    bench.begin(timeout=1.0)
    bench.now = 3600 * 10**9
    bench.see()
    assert bench.outcome is None
    for _ in range(30):
        bench.pass_time(PERIOD * 1e-9)
        bench.see()
    assert bench.outcome == Outcome.TIMED_OUT
    assert bench.run.steps == 21


def test_time_that_begins_anew_does_not_stop_control():
    bench = Bench(simulated_time=True)
    bench.begin()
    bench.see()
    bench.now = PERIOD
    bench.see()
    bench.now = 2 * PERIOD
    bench.see()
    assert bench.run.steps == 3


def test_last_observation_of_an_ended_episode_is_not_answered():
    bench = Bench(simulated_time=True)
    stamp = bench.see()
    bench.say(stamp, ended=True, termination_reason=EpisodeStatus.TIME_LIMIT)
    bench.begin()
    assert not bench.sent
    bench.pass_time(0, steady=SIMULATION_PATIENCE + 0.1)
    bench.loop.check()
    assert bench.outcome == Outcome.STALE_OBSERVATIONS
    assert "reset_episode" in bench.ends[-1][1].message


@pytest.mark.parametrize("success", [False, True])
def test_goal_asked_after_the_end_of_an_episode_ends_although_states_go_on(success):
    bench = Bench()
    over = {"ended": True, "success": success, "termination_reason": EpisodeStatus.TIME_LIMIT}
    bench.say(bench.now, **over)
    bench.see()
    bench.begin()
    for _ in range(10):
        bench.pass_time(0.05)
        bench.say(**over)
        bench.see()
        bench.loop.check()
    assert bench.outcome == Outcome.STALE_OBSERVATIONS
    assert "reset_episode" in bench.ends[-1][1].message
    assert len(bench.sent) == 1


def test_reset_heard_after_the_goal_is_not_its_end():
    bench = Bench(simulated_time=True)
    stamp = bench.see()
    bench.say(stamp)
    bench.begin()
    bench.say(stamp, ended=True, termination_reason=EpisodeStatus.ABORTED)
    bench.pass_time(PERIOD * 1e-9)
    bench.say(episode_id="e2")
    bench.see()
    assert bench.outcome is None
    assert bench.run.episode_id == "e2"
    bench.pass_time(PERIOD * 1e-9)
    bench.say(episode_id="e2", success=True, ended=True, termination_reason=EpisodeStatus.SUCCEEDED)
    assert bench.outcome == Outcome.SUCCEEDED


@pytest.mark.parametrize("steps", [2, 4])
def test_own_reset_heard_late_is_not_taken_for_somebody_elses(steps):
    """The client resets, then asks; on a busy machine the server is still shown the episode before."""
    bench = Bench()
    bench.say(bench.see())
    bench.pass_time(0.01)
    reset = bench.now
    bench.pass_time(0.01)
    bench.begin()
    for k in range(steps):
        bench.pass_time(0.05)
        bench.see(reset - (steps - k) * 10**6)
    assert bench.run.steps >= 1
    bench.say(reset, ended=True, termination_reason=EpisodeStatus.ABORTED)
    bench.say(episode_id="e2")
    assert bench.outcome is None
    bench.pass_time(0.2)
    bench.say(
        episode_id="e2", ended=True, termination_reason=EpisodeStatus.ABORTED, message="another episode was asked for"
    )
    assert bench.outcome == Outcome.INTERNAL_ERROR
    assert "somebody else's reset" in bench.ends[-1][1].message


def test_reset_in_mid_goal_ends_it():
    bench = Bench()
    bench.begin()
    bench.say(bench.see())
    bench.pass_time(PERIOD * 1e-9)
    bench.see()
    bench.say(episode_id="e2")
    assert bench.outcome == Outcome.INTERNAL_ERROR
    assert "e2" in bench.ends[-1][1].message


def test_success_of_another_task_says_so():
    bench = Bench()
    bench.say(bench.see())
    bench.begin("stop")
    bench.pass_time(PERIOD * 1e-9)
    bench.say(success=True, ended=True)
    assert bench.outcome == Outcome.SUCCEEDED
    assert "'go'" in bench.ends[-1][1].message


def test_the_world_judges_whatever_was_asked():
    bench = Bench()
    world = {"task": "", "episode_id": "toy/world/0-0001"}
    bench.say(bench.see(), **world)
    for task, held_for, said in (("stop", 0.25, "done"), ("go", 30.0, "it was so already")):
        bench.begin(task)
        bench.pass_time(1.0)
        bench.see()
        bench.loop.check()
        bench.say(**world, holds=["look"], held_for=[99.0])
        bench.say(**world, success=True)  # of nothing
        assert bench.loop.run is not None
        bench.say(**world, holds=["look", task], held_for=[99.0, held_for])
        assert bench.loop.run is None
        assert bench.ends[-1][1] == End(Outcome.SUCCEEDED, said)


def test_success_from_before_the_goal_does_not_count():
    bench = Bench()
    bench.say(bench.see(), success=True)
    bench.begin()
    bench.say(success=True)
    assert bench.outcome is None
