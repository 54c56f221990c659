"""The server as a process: every way a goal can end."""

import signal
import time

import pytest
from sensor_msgs.msg import Image

from polytask_interfaces.action import ExecuteTask
from polytask_interfaces.msg import EpisodeStatus, Outcome
from polytask_robot_io.stamps import to_ns

# One process runs them all: they share nodes.
pytestmark = pytest.mark.xdist_group("server_goals")


@pytest.fixture(scope="module")
def robot(start_server, make_robot):
    start_server("goals")
    return make_robot("goals")


@pytest.fixture(autouse=True)
def _streaming(robot):
    robot.streaming = True
    robot.values = [0.0, 0.0]
    yield
    robot.streaming = False


def picture(width=32, height=24, encoding="rgb8", data=None):
    data = bytes(width * height * 3) if data is None else data
    return Image(width=width, height=height, encoding=encoding, step=width * 3, data=data)


@pytest.mark.parametrize(
    ("goal", "reason"),
    [
        ({}, "empty"),
        ({"words": "   "}, "empty"),
        ({"words": "sing a song"}, "like nothing taught"),
        ({"task": "fly"}, "no task 'fly'"),
        ({"words": "please go", "task": "go"}, "words and task at once"),
        ({"words": "please go", "image": picture()}, "words and image at once"),
        ({"image": picture(encoding="mono8")}, "encoding is 'mono8'"),
        ({"image": picture(encoding="")}, "encoding is ''"),
        ({"image": picture(width=0, height=0, data=b"")}, "0x0"),
        ({"image": picture(data=bytes(100))}, "truncated"),
        ({"task": "go", "timeout": -1.0}, "timeout is -1.0"),
        ({"task": "go", "timeout": float("nan")}, "timeout is nan"),
    ],
)
def test_bad_goal_is_refused_with_its_reason_and_the_server_goes_on(robot, goal, reason):
    known = len(robot.commands)
    _, result = robot.ask(**goal)
    refused = robot.outcome(result)
    assert refused.outcome == Outcome.UNKNOWN_GOAL
    assert reason in refused.message
    assert not any(any(m.values) for _, m in robot.commands[known:])
    handle, result = robot.ask(task="go")
    robot.moving()
    handle.cancel_goal_async()
    assert robot.outcome(result).outcome == Outcome.CANCELLED


@pytest.mark.parametrize(
    "goal", [{"words": "please go"}, {"task": "go"}, {"image": picture()}, {"image": picture(encoding="bgr8")}]
)
def test_each_kind_of_goal_moves_the_robot(robot, goal):
    robot.feedback.clear()
    handle, result = robot.ask(**goal)
    robot.moving()
    stamp = to_ns(robot.commands[-1][1].observation_stamp)
    assert 0 < robot.now_ns() - stamp < 1e9
    assert list(robot.commands[-1][1].values) == [0.5, 0.5]
    assert robot.commands[-1][1].header.frame_id == "base"
    time.sleep(0.3)
    handle.cancel_goal_async()
    end = robot.outcome(result)
    assert (end.matched_task, end.steps > 3) == ("go", True)
    assert {f.matched_task for f in robot.feedback} == {"go"}
    assert len(robot.feedback) <= 10 * end.elapsed + 2


@pytest.mark.alone
def test_cancel_stops_within_one_period_and_leaves_a_zero_command(robot):
    handle, result = robot.ask(task="go")
    robot.moving()
    asked = time.monotonic()
    handle.cancel_goal_async()
    assert robot.outcome(result).outcome == Outcome.CANCELLED
    time.sleep(0.2)
    robot.wait_for(robot.stopped)
    assert robot.commands[-1][0] - asked < 0.05
    assert [moment for moment, m in robot.commands if any(m.values)][-1] - asked < 0.05


def test_newer_goal_takes_over_without_a_stop_between(robot):
    _, first = robot.ask(task="go")
    robot.moving()
    known = len(robot.commands)
    handle, second = robot.ask(words="please go")
    assert robot.outcome(first).outcome == Outcome.PREEMPTED
    robot.moving()
    assert all(any(m.values) for _, m in robot.commands[known:])
    handle.cancel_goal_async()
    assert robot.outcome(second).outcome == Outcome.CANCELLED


def test_bad_goal_does_not_disturb_the_running_one(robot):
    handle, first = robot.ask(task="go")
    robot.moving()
    _, second = robot.ask(task="fly")
    assert robot.outcome(second).outcome == Outcome.UNKNOWN_GOAL
    robot.moving()
    assert not first.done()
    handle.cancel_goal_async()
    robot.outcome(first)


@pytest.mark.timed
def test_observations_that_stop_end_the_goal(robot):
    _, result = robot.ask(task="go")
    robot.moving()
    robot.streaming = False
    began = time.monotonic()
    end = robot.outcome(result)
    assert end.outcome == Outcome.STALE_OBSERVATIONS
    assert "no observation to act upon" in end.message
    assert time.monotonic() - began < 1.0
    time.sleep(0.1)
    robot.wait_for(robot.stopped)


def test_goal_without_observations_ends(robot):
    robot.streaming = False
    time.sleep(0.4)
    _, result = robot.ask(task="go")
    assert robot.outcome(result).outcome == Outcome.STALE_OBSERVATIONS


def test_observations_with_old_stamps_end_the_goal(robot):
    _, result = robot.ask(task="go")
    robot.moving()
    robot.streaming = False
    time.sleep(0.06)
    old = robot.now_ns() - int(0.25e9)
    robot.show(old)
    end = robot.outcome(result)
    assert end.outcome == Outcome.STALE_OBSERVATIONS
    time.sleep(0.1)
    robot.wait_for(robot.stopped)


@pytest.mark.parametrize(("values", "reason"), [([0.0, float("nan")], "finite"), ([0.0], "names")])
def test_unusable_state_ends_the_goal_with_its_reason(robot, values, reason):
    _, result = robot.ask(task="go")
    robot.moving()
    robot.values = values
    end = robot.outcome(result)
    assert end.outcome == Outcome.STALE_OBSERVATIONS
    assert reason in end.message or "values" in end.message
    time.sleep(0.1)
    robot.wait_for(robot.stopped)


@pytest.mark.parametrize(
    "unusable",
    [
        {"values": [0.0, float("nan")]},
        {"values": [0.0]},
        {"stamp_ns": 0},
        {"stamp_ns": 5},
        {"stamp_ns": 4_000_000_000 * 10**9 // 2},
    ],
)
def test_one_unusable_state_among_many_ends_nothing(robot, unusable):
    handle, result = robot.ask(task="go")
    robot.moving()
    robot.show(**unusable)
    robot.moving()
    robot.moving()
    assert not result.done()
    handle.cancel_goal_async()
    assert robot.outcome(result).outcome == Outcome.CANCELLED


@pytest.mark.parametrize("count", [30, 100])
@pytest.mark.parametrize("goal", [{"task": "go"}, {"task": "fly"}, {"words": "please go"}])
def test_many_goals_at_once_are_all_answered(robot, count, goal):
    def send():
        return [robot.client.send_goal_async(ExecuteTask.Goal(**goal, timeout=0.3)) for _ in range(count)]

    sent = robot.executor.create_task(send)
    robot.wait_for(lambda: sent.done() and all(one.done() for one in sent.result()), 30)
    handles = [one.result() for one in sent.result()]
    assert all(handle.accepted for handle in handles)
    asked = robot.executor.create_task(lambda: [handle.get_result_async() for handle in handles])
    robot.wait_for(lambda: asked.done() and all(one.done() for one in asked.result()), 30)
    outcomes = {one.result().result.outcome for one in asked.result()}
    known = (
        {Outcome.UNKNOWN_GOAL, Outcome.PREEMPTED} if goal == {"task": "fly"} else {Outcome.TIMED_OUT, Outcome.PREEMPTED}
    )
    assert outcomes <= known
    assert goal == {"task": "fly"} or Outcome.TIMED_OUT in outcomes


def test_answers_are_short_and_can_be_printed_whatever_the_client_sends(robot):
    _, result = robot.ask(task="\x1b[31mred\n" + "x" * 1_000_000)
    end = robot.outcome(result)
    assert end.outcome == Outcome.UNKNOWN_GOAL
    assert end.message.isprintable()
    assert len(end.message) < 1100


@pytest.mark.parametrize(("task", "reason"), [("crash", "no such joint"), ("nan", "not a finite number")])
def test_policy_that_fails_stops_the_robot(robot, task, reason):
    _, result = robot.ask(task=task)
    end = robot.outcome(result)
    assert end.outcome == Outcome.INTERNAL_ERROR
    assert reason in end.message
    time.sleep(0.1)
    robot.wait_for(robot.stopped)


@pytest.mark.timed
def test_timeout(robot):
    _, result = robot.ask(task="go", timeout=0.5)
    end = robot.outcome(result)
    assert end.outcome == Outcome.TIMED_OUT
    assert 0.45 < end.elapsed < 1.0
    assert 5 <= end.steps <= 11
    time.sleep(0.1)
    robot.wait_for(robot.stopped)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ({"success": True, "ended": True, "termination_reason": EpisodeStatus.SUCCEEDED}, Outcome.SUCCEEDED),
        ({"ended": True, "termination_reason": EpisodeStatus.TIME_LIMIT}, Outcome.TIMED_OUT),
        ({"ended": True, "termination_reason": EpisodeStatus.FAULT}, Outcome.INTERNAL_ERROR),
        ({"ended": True, "termination_reason": EpisodeStatus.ABORTED}, Outcome.INTERNAL_ERROR),
    ],
)
def test_status_of_the_episode_ends_the_goal(robot, status, outcome):
    # An episode that succeeded before the goal says nothing about it.
    robot.say(robot.now_ns(), episode_id="e0", success=True, ended=True, termination_reason=EpisodeStatus.SUCCEEDED)
    robot.say(robot.now_ns())
    time.sleep(0.1)
    _, result = robot.ask(task="go")
    robot.moving()
    time.sleep(0.15)
    assert not result.done()
    robot.say(robot.now_ns(), message="so it is", **status)
    end = robot.outcome(result)
    assert end.outcome == outcome
    assert "so it is" in end.message
    time.sleep(0.1)
    robot.wait_for(robot.stopped)


def test_diagnostics_carry_rate_jitter_latency_and_policy(robot):
    handle, result = robot.ask(task="go")
    robot.moving()
    time.sleep(1.2)
    handle.cancel_goal_async()
    robot.outcome(result)
    values = {v.key: v.value for v in robot.diagnostics[-1].status[0].values}
    assert float(values["command rate [Hz]"]) > 10
    assert {"command jitter [ms]", "observation stamp to command p99 [ms]", "policy", "tasks"} <= set(values)
    assert int(values["observations refused"]) > 0


@pytest.mark.timed
def test_faster_observations_do_not_make_faster_commands(robot):
    robot.streaming = False
    time.sleep(0.1)
    handle, result = robot.ask(task="go")
    known, began = len(robot.commands), time.monotonic()
    while time.monotonic() - began < 1.0:
        robot.show()
        time.sleep(0.01)
    count = len(robot.commands) - known
    handle.cancel_goal_async()
    robot.outcome(result)
    assert 10 <= count <= 23


def test_refuses_while_busy_when_told_so(start_server, make_robot):
    start_server("refuse", on_new_goal="refuse")
    robot = make_robot("refuse")
    robot.streaming = True
    handle, first = robot.ask(task="go")
    robot.moving()
    _, second = robot.ask(task="go")
    assert robot.outcome(second).outcome == Outcome.BUSY
    robot.moving()
    handle.cancel_goal_async()
    assert robot.outcome(first).outcome == Outcome.CANCELLED


@pytest.mark.timed
def test_words_wait_for_the_language_model_while_other_goals_run(start_server, make_robot):
    process = start_server("loading", load_time=4)
    robot = make_robot("loading")
    robot.streaming = True
    _, words = robot.ask(words="please go")
    _, dropped = robot.ask(words="please go")
    cancelled, third = robot.ask(words="please go")
    cancelled.cancel_goal_async()
    assert robot.outcome(third).outcome == Outcome.CANCELLED
    handle, named = robot.ask(task="go")
    robot.moving()
    # A newer goal that began first has overtaken those that wait.
    assert robot.outcome(words).outcome == Outcome.PREEMPTED
    assert robot.outcome(dropped).outcome == Outcome.PREEMPTED
    assert "before this one began" in robot.outcome(words).message
    handle.cancel_goal_async()
    robot.outcome(named)
    _, waiting = robot.ask(words="please go")
    robot.moving()
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert process.wait(timeout=5) == 0
    assert time.monotonic() - began < 5
    stopped = robot.outcome(waiting)
    assert (stopped.outcome, stopped.message) == (Outcome.INTERNAL_ERROR, "the server was stopped")
    robot.wait_for(robot.stopped)
    assert "Traceback" not in process.stderr.read()


def test_a_language_model_that_stops_or_dies_ends_the_goal_and_is_started_anew(start_server, make_robot):
    start_server("child", load_time="child")
    robot = make_robot("child")
    robot.streaming = True
    for words in ("stop", "die"):
        asked = time.monotonic()
        _, result = robot.ask(words=words, timeout=5.0)
        end = robot.outcome(result)
        assert end.outcome == Outcome.INTERNAL_ERROR
        assert "not understood: the process with the text model" in end.message
        assert time.monotonic() - asked < 5
        handle, result = robot.ask(words="please go", timeout=5.0)
        robot.moving()
        handle.cancel_goal_async()
        assert robot.outcome(result).outcome == Outcome.CANCELLED
    robot.wait_for(lambda: "language model" in {v.key for v in robot.diagnostics[-1].status[0].values})


def test_an_endless_understanding_is_given_up_and_other_goals_go_on(start_server, make_robot):
    start_server("thinker", understanding_timeout=0.5)
    robot = make_robot("thinker")
    robot.streaming = True
    _, first = robot.ask(words="think", timeout=30.0)
    _, behind = robot.ask(words="please go")
    for result in (first, behind):
        end = robot.outcome(result)
        assert end.outcome == Outcome.INTERNAL_ERROR
        assert "not understood within 0.5 s" in end.message
    handle, result = robot.ask(task="go")
    robot.moving()
    handle.cancel_goal_async()
    robot.outcome(result)


def test_the_time_of_a_goal_runs_from_when_it_moves_not_from_loading_the_language_model(start_server, make_robot):
    process = start_server("patient", load_time=3)
    robot = make_robot("patient")
    robot.streaming = True
    _, result = robot.ask(words="please go", timeout=1.0)
    end = robot.outcome(result)
    assert (end.outcome, end.steps >= 15) == (Outcome.TIMED_OUT, True)
    assert 0.95 < end.elapsed < 1.5
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=10)[1]
    assert output.index("loading the language model") < output.index("serving 3 tasks on 'toy'")


def test_a_second_server_says_so_and_ends_before_it_commands_anything(start_server, make_robot):
    start_server("twice")
    robot = make_robot("twice")
    robot.streaming = True
    handle, result = robot.ask(task="go", timeout=600.0)  # a second server may take long to start
    robot.moving()
    second = start_server("twice")
    assert "/twice/execute_task is served already, by /twice/policy_server" in second.communicate(timeout=120)[1]
    assert second.returncode
    robot.moving()
    assert not result.done()
    handle.cancel_goal_async()
    assert robot.outcome(result).outcome == Outcome.CANCELLED
