"""Goals that end when their node says so, on real rclpy."""

import time

import pytest
import rclpy
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor

from polytask_interfaces.action import Distill
from polytask_interfaces.msg import Outcome
from polytask_robot_io import qos
from polytask_robot_io.deferred_action_server import DeferredActionServer, deliver_results
from polytask_robot_io.executors import make_executor


class Bench:
    """A node that serves Distill and keeps the goals that come, and a client; both spun by the test's thread."""

    def __init__(self, make):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("worker", context=self.context)
        self.client_node = rclpy.create_node("client", context=self.context)
        self.goals, self.cancelled, self.feedback = [], [], []
        self.on_cancel = lambda handle: True
        self.server = DeferredActionServer(self.node, Distill, "distill", self.goals.append, self.cancel)
        deep = {"goal_service_qos_profile": qos.SERVICES, "result_service_qos_profile": qos.SERVICES}
        self.client = ActionClient(self.client_node, Distill, "distill", **deep)
        self.executor = make(context=self.context)
        self.executor.add_node(self.node)
        self.executor.add_node(self.client_node)
        self.until(self.client.server_is_ready)
        settled = time.monotonic() + 0.3  # a server that has not yet discovered its client drops its answers
        self.until(lambda: time.monotonic() > settled)

    def cancel(self, handle):
        self.cancelled.append(handle)
        return self.on_cancel(handle)

    def until(self, condition, timeout=20.0):
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f"nothing within {timeout} s"
            self.executor.spin_once(timeout_sec=0.05)

    def answer(self, future):
        self.until(future.done)
        return future.result()

    def send(self, output="a"):
        """Send a goal; the server's handle, the client's and the future of its result."""
        count = len(self.goals)
        sent = self.client.send_goal_async(Distill.Goal(output=output), lambda m: self.feedback.append(m.feedback))
        handle = self.answer(sent)
        assert handle.accepted
        self.until(lambda: len(self.goals) > count)
        return self.goals[-1], handle, handle.get_result_async()

    def finish(self, goal, outcome, message=""):
        self.server.finish(goal, Distill.Result(outcome=outcome, message=message))

    def close(self):
        self.executor.shutdown()
        self.client.destroy()
        self.client_node.destroy_node()
        self.node.destroy_node()
        self.context.try_shutdown()


@pytest.fixture(params=[make_executor, SingleThreadedExecutor])
def bench(request, ros_domain):
    made = Bench(request.param)
    yield made
    made.close()


def test_a_goal_is_accepted_goes_on_while_others_come_and_ends_when_its_node_says_so(bench):
    first, _, first_result = bench.send("first")
    second, _, second_result = bench.send("second")
    first.publish_feedback(Distill.Feedback(step=3))
    bench.until(lambda: [feedback.step for feedback in bench.feedback] == [3])
    bench.finish(second, Outcome.REFUSED, "no such folder")
    refused = bench.answer(second_result)
    assert (refused.status, refused.result.outcome) == (GoalStatus.STATUS_ABORTED, 8)
    assert refused.result.message == "no such folder"
    assert first.status == GoalStatus.STATUS_ACCEPTED
    assert not first_result.done()
    bench.finish(first, Outcome.SUCCEEDED)
    assert bench.answer(first_result).status == GoalStatus.STATUS_SUCCEEDED


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(Outcome.CANCELLED, GoalStatus.STATUS_CANCELED), (Outcome.SUCCEEDED, GoalStatus.STATUS_SUCCEEDED)],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_cancelled_goal_ends_in_the_callback_or_later_and_may_have_been_done_by_then(bench, at_once, outcome, status):
    goal, handle, result = bench.send()

    def stop(handle):
        if at_once:
            bench.finish(handle, outcome)
        return True

    bench.on_cancel = stop
    assert len(bench.answer(handle.cancel_goal_async()).goals_canceling) == 1
    if not at_once:
        assert not result.done()
        bench.finish(goal, outcome)
    answer = bench.answer(result)
    assert (answer.status, answer.result.outcome) == (status, outcome)


def test_a_goal_that_is_over_for_its_node_is_not_cancelled(bench):
    goal, handle, result = bench.send()
    bench.on_cancel = lambda handle: False
    assert bench.answer(handle.cancel_goal_async()).goals_canceling == []
    assert bench.cancelled == [goal]
    bench.finish(goal, Outcome.TIMED_OUT)
    assert bench.answer(result).status == GoalStatus.STATUS_ABORTED


def test_a_result_given_while_the_node_is_closed_reaches_the_client_and_no_goal_begins_any_more(bench):
    goal, _, result = bench.send("first")
    bench.server.stop()
    late = bench.client.send_goal_async(Distill.Goal(output="late"))
    bench.finish(goal, Outcome.CANCELLED, "the worker was stopped")
    deliver_results(bench.node)
    bench.executor.remove_node(bench.node)  # nothing more comes from it than what was delivered
    assert bench.answer(result).result.message == "the worker was stopped"
    bench.executor.add_node(bench.node)
    assert bench.goals == [goal]
    refused = bench.answer(bench.answer(late).get_result_async())
    assert (refused.status, refused.result.outcome) == (GoalStatus.STATUS_ABORTED, 7)
    assert refused.result.message == "worker is being stopped"


def test_a_hundred_goals_get_each_its_own_result(bench):
    sent = [bench.client.send_goal_async(Distill.Goal(output=str(i))) for i in range(100)]
    results = [bench.answer(one).get_result_async() for one in sent]
    bench.until(lambda: len(bench.goals) == 100)
    for goal in reversed(bench.goals):
        bench.finish(goal, Outcome.BUSY, goal.request.output)
    assert [bench.answer(one).result.message for one in results] == [str(i) for i in range(100)]
