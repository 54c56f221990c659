"""Lock-step by service, the stepping mode of training: the same episode as in process, and nothing else moves it."""

import numpy as np
import pytest
from sim_client import Client, simulator, vector

from polytask_interfaces.srv import ListTasks
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
def by_service(module_ros_domain):
    with simulator("stepping_mode:=service", "task:=drawer-open", "seed:=3"):
        client = Client()
        yield client
        client.close()


def test_same_episode_as_in_process(by_service, reference):
    answer = by_service.reset("drawer-open", 3)
    states = [vector(answer.state)]
    for action in actions_of(3, STEPS, 4):
        answer = by_service.step(action, to_ns(answer.state.header.stamp))
        assert answer.ok
        states.append(vector(answer.state))
    assert np.array_equal(np.stack(states), reference)
    assert answer.status.step == STEPS
    assert list(answer.images) == []


def test_pictures_on_request(by_service):
    answer = by_service.reset(seed=1, want_image=True)
    assert [(image.width, image.height) for image in answer.images] == [(84, 84)]
    after = by_service.step([1, 0, 0, 0], want_image=True)
    assert after.images[0].header.stamp == after.state.header.stamp


def test_commands_on_the_topic_do_not_advance_it(by_service):
    stamp = to_ns(by_service.reset(seed=1).state.header.stamp)
    by_service.send([0, 0, 0, 0], stamp)
    by_service.until(lambda: "step_episode alone" in (by_service.diagnosis("commands ignored last reason") or ""))
    assert by_service.step([0, 0, 0, 0], stamp).ok


def test_bad_steps_are_refused_and_it_goes_on(by_service):
    stamp = to_ns(by_service.reset(seed=1).state.header.stamp)
    for command, answered, reason in (
        ([float("nan"), 0, 0, 0], 0, "not a finite number in dx"),
        ([0.0], 0, "4 values are declared"),
        ([0, 0, 0, 0], stamp - 1, "answers the observation of"),
    ):
        answer = by_service.step(command, answered)
        assert not answer.ok
        assert reason in answer.message
    assert by_service.step([0, 0, 0, 0], stamp).status.step == 1


def test_an_ended_episode_refuses_steps(by_service):
    by_service.reset("drawer-close", 4)
    answers = [by_service.step([0, 0, 0, 0]) for _ in range(101)]
    assert answers[99].status.ended
    assert not answers[100].ok
    assert "call reset_episode" in answers[100].message


def test_list_tasks(by_service):
    listed = by_service.call(ListTasks.Request())
    assert (listed.suite, listed.embodiment) == ("tabletop", "xarm7_tabletop")
    tasks = {task.name: task for task in listed.tasks}
    assert {"reach", "drawer-open", "peg-blue"} <= set(tasks)
    assert tasks["reach"].horizon > 0
    assert len(tasks["reach"].instructions) >= 10


def test_seeds_that_are_drawn_differ(by_service):
    seeds = [by_service.reset().status.seed for _ in range(3)]
    assert len(set(seeds)) == 3
    assert min(seeds) >= 0
