"""Live subscriptions: what is bad is told and dropped, noise instead of a message harms nobody."""

import pytest
import rclpy
import robot_io_toys as toys
from rclpy.executors import SingleThreadedExecutor
from rclpy.serialization import serialize_message
from robot_io_toys import MS

from polytask_interfaces.msg import StateVector
from polytask_robot_io import qos
from polytask_robot_io.executors import make_executor
from polytask_robot_io.observation import ObservationAssembler
from polytask_robot_io.subscriptions import subscribe_observations, with_publisher

T0 = 1000 * MS


class Robot:
    """A node that listens, and one that sends."""

    def __init__(self, executor):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("listener", context=self.context)
        self.sender = rclpy.create_node("sender", context=self.context)
        self.executor = executor(context=self.context)
        self.executor.add_node(self.node)
        self.assembler = ObservationAssembler(toys.embodiment(cameras=()))
        self.bad, self.stamps = [], []
        subscribe_observations(self.node, self.assembler, self._new, self.bad.append)
        self.publisher = self.sender.create_publisher(StateVector, "state", qos.STATE)
        self.until(self.publisher.get_subscription_count)

    def _new(self):
        self.stamps.append(self.assembler.newest().stamp_ns)

    def until(self, holds):
        for _ in range(200):
            if holds():
                return
            self.executor.spin_once(timeout_sec=0.05)
        raise AssertionError("waited too long")

    def close(self):
        self.executor.shutdown()
        self.node.destroy_node()
        self.sender.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture(params=[make_executor, SingleThreadedExecutor])
def robot(request):
    made = Robot(request.param)
    yield made
    made.close()


def test_bad_and_late_messages_are_told_and_the_next_one_is_taken(robot):
    for message in (toys.state(T0, (1.0, float("nan"), 3.0)), toys.state(0), toys.state(T0), toys.state(T0 - MS)):
        robot.publisher.publish(message)
    robot.until(lambda: len(robot.bad) == 3)
    assert robot.stamps == [T0]
    assert [reason.split(";")[0] for reason in robot.bad] == [
        "state: not a finite number in hand.y",
        "state: the header has no stamp",
        "state: a state is stamped 0.001 s before the newest one, and it is not used",
    ]


def test_noise_instead_of_a_message_harms_nobody(robot):
    good = bytes(serialize_message(toys.state(T0)))
    noise = [b"\0\1\0\0", b"\xff" * 50, good[:20], good[:-3], good[:24] + b"\xff\xff\xff\x7f" + good[28:]]
    for k, data in enumerate(noise):
        robot.publisher.publish(data)
        robot.publisher.publish(toys.state(T0 + (1 + k) * MS))
        robot.until(lambda k=k: robot.stamps and robot.stamps[-1] == T0 + (1 + k) * MS)
    assert robot.stamps == [T0 + k * MS for k in range(1, 6)]


def test_a_message_comes_with_its_publisher(robot):
    got = []
    robot.node.create_subscription(
        StateVector, "state", with_publisher(lambda message, gid: got.append((message.values[0], gid))), qos.STATE
    )
    other = robot.sender.create_publisher(StateVector, "state", qos.STATE)
    robot.until(lambda: robot.publisher.get_subscription_count() == other.get_subscription_count() == 2)
    for publisher, value in ((robot.publisher, 1.0), (other, 2.0), (robot.publisher, 3.0)):
        publisher.publish(toys.state(T0, (value, 0.0, 0.0)))
    robot.until(lambda: len(got) == 3)
    known = {bytes(one.endpoint_gid) for one in robot.node.get_publishers_info_by_topic("state")}
    gids = {value: gid for value, gid in got}
    assert gids[1.0] == gids[3.0] != gids[2.0]
    assert set(gids.values()) == known
