"""Do nodes hear each other? A process publishes pictures, another counts them.

`python -m polytask_cli.doctor.topics TOPIC` is the publishing process.
"""

from __future__ import annotations

import array
import os
import subprocess
import sys
import time

import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image

MEGABYTE = 1024 * 1024
PICTURES = 10
PERIOD = 0.05  # s
PATIENCE = 15.0  # s


def transfer() -> tuple[int, list[float]]:
    """Start the other process and receive its pictures.

    Returns:
        How many were sent, and the delay of each that arrived, in s.

    Raises:
        RuntimeError: when the other process ends before its time.
    """
    topic = f"polytask_doctor/n{os.getpid()}"
    delays: list[float] = []
    context = rclpy.Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = Node("polytask_doctor", context=context, start_parameter_services=False)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def receive(message: Image) -> None:
        sent = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        if len(message.data) == MEGABYTE:
            delays.append(time.time() - sent)

    node.create_subscription(Image, topic, receive, qos_profile_sensor_data)
    other = subprocess.Popen(
        [sys.executable, "-m", __name__, topic], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        until = time.monotonic() + PATIENCE
        while len(delays) < PICTURES and time.monotonic() < until and other.poll() is None:
            executor.spin_once(timeout_sec=0.1)
        if other.poll() not in (None, 0):
            words = (other.stderr.read() if other.stderr else "").strip().splitlines()[-1:]
            raise RuntimeError(f"the publishing process failed: {words[0] if words else other.returncode}")
        until = time.monotonic() + 0.3
        while len(delays) < PICTURES and time.monotonic() < until:
            executor.spin_once(timeout_sec=0.1)
    finally:
        other.kill()
        other.wait()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown(context=context)
    return PICTURES, delays


def publish(topic: str) -> None:
    """Wait for a subscriber, send it the pictures, and wait until it has had time to take them."""
    rclpy.init()
    node = Node("polytask_doctor_publisher", start_parameter_services=False)
    publisher = node.create_publisher(Image, topic, qos_profile_sensor_data)
    until = time.monotonic() + PATIENCE
    while publisher.get_subscription_count() == 0 and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.3)  # for the other side of the discovery
    message = Image(height=512, width=2048, encoding="mono8", step=2048, data=array.array("B", bytes(MEGABYTE)))
    for _ in range(PICTURES):
        now = time.time()
        message.header.stamp.sec, message.header.stamp.nanosec = int(now), int(now % 1 * 1e9)
        publisher.publish(message)
        time.sleep(PERIOD)
    time.sleep(0.5)
    rclpy.try_shutdown()


if __name__ == "__main__":
    publish(sys.argv[1])
