"""Benchmark of the cost of ROS: the same episodes in process, in lock-step over topics, and by step_episode.

Every way gets the same actions, drawn from a seed; resets are not counted. The states must come out equal, bit by bit.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import rclpy
from rclpy.node import Node

from polytask_interfaces.msg import Command, StateVector
from polytask_interfaces.srv import ResetEpisode, StepEpisode
from polytask_robot_io import qos
from polytask_robot_io.commands import command_message
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.executors import make_executor
from polytask_robot_io.observation import ObservationAssembler
from polytask_robot_io.stamps import from_ns
from polytask_suites import EMBODIMENTS, make_env

PATIENCE = 20.0
"""Seconds to wait for the simulator to answer before giving up."""


@dataclass
class Measured:
    """How fast one way was."""

    seconds: list[float] = field(default_factory=list)
    """Time of each step, from the command to the next state."""
    digest: Any = field(default_factory=hashlib.sha256)
    """Of all states, to compare the ways."""

    @property
    def steps_per_second(self) -> float:
        """Over all steps."""
        return len(self.seconds) / sum(self.seconds)

    def summary(self) -> dict[str, float]:
        """Steps/s and percentiles of a step's time in ms."""
        p50, p99 = np.percentile(self.seconds, [50, 99]) * 1e3
        return {"steps_per_second": self.steps_per_second, "p50_ms": float(p50), "p99_ms": float(p99)}


def actions_of(seed: int, steps: int, size: int) -> np.ndarray:
    """The actions of one episode, ``float32 (steps, size)`` in [-1, 1]: a slow random walk, as a policy's would be."""
    random = np.random.default_rng(seed)
    walk = np.cumsum(random.normal(0.0, 0.3, (steps, size)), axis=0)
    return np.sin(walk).astype(np.float32)


class InProcess:
    """Steps the environment directly."""

    def __init__(self, suite: str, task: str) -> None:
        """``suite``, ``task``: of the environment."""
        self._env = make_env(suite, task)
        self.result = Measured()

    def episode(self, seed: int, steps: int) -> None:
        """Drive one episode."""
        observation, _ = self._env.reset(seed=seed)
        self.result.digest.update(observation["state"].tobytes())
        for action in actions_of(seed, steps, self._env.action_space.shape[0]):  # type: ignore[index]
            started = time.perf_counter()
            observation, *_ = self._env.step(action)
            self.result.seconds.append(time.perf_counter() - started)
            self.result.digest.update(observation["state"].tobytes())

    def close(self) -> None:
        """Free the environment."""
        self._env.close()


class Driver:
    """A client of the simulator in this process, in stepping mode ``lock_step`` or ``service``."""

    def __init__(self, suite: str, task: str, stepping_mode: str) -> None:
        """``task``: of the episodes; the simulator must already be starting, in the same domain."""
        self.result = Measured()
        self._task, self._stepping_mode = task, stepping_mode
        self._node = Node("benchmark")
        self._executor = make_executor()
        self._executor.add_node(self._node)
        embodiment = Embodiment.load(EMBODIMENTS[suite])
        self._size, self._frame = len(embodiment.command), embodiment.command_frame
        self._assembler = ObservationAssembler(embodiment, cameras=False)
        self._reset = self._node.create_client(ResetEpisode, "reset_episode")
        self._step = self._node.create_client(StepEpisode, "step_episode")
        self._commands = self._node.create_publisher(Command, embodiment.command_topic, qos.COMMAND)
        self._on_state: Callable[[], None] = lambda: None
        if stepping_mode == "lock_step":
            self._node.create_subscription(StateVector, "state", self._receive, qos.STATE)
        if not self._reset.wait_for_service(PATIENCE):
            raise TimeoutError(f"no simulator answered within {PATIENCE:g} s")
        # A command that is sent before the simulator's subscription is found is lost.
        deadline = time.monotonic() + PATIENCE
        while not self._commands.get_subscription_count() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _receive(self, message: StateVector) -> None:
        if self._assembler.feed("state", message):
            self._on_state()

    def _call(self, client: Any, request: Any) -> Any:
        future = client.call_async(request)
        self._executor.spin_until_future_complete(future, timeout_sec=PATIENCE)
        if not future.done():
            raise TimeoutError(f"{client.srv_name} was not answered within {PATIENCE:g} s")
        if not future.result().ok:
            raise RuntimeError(f"{client.srv_name}: {future.result().message}")
        return future.result()

    def episode(self, seed: int, steps: int) -> None:
        """Drive one episode."""
        self._on_state = lambda: None
        answer = self._call(self._reset, ResetEpisode.Request(task=self._task, seed=seed))
        self._digest(answer.state)
        actions = actions_of(seed, steps, self._size)
        if self._stepping_mode == "lock_step":
            self._by_topics(actions, answer.state)
        else:
            self._by_service(actions, answer.state)

    def _digest(self, message: StateVector) -> None:
        self.result.digest.update(np.asarray(message.values, dtype=np.float32).tobytes())

    def _by_service(self, actions: np.ndarray, state: StateVector) -> None:
        for action in actions:
            command = command_message(action, state.header.stamp, state.header.stamp, self._frame)
            started = time.perf_counter()
            state = self._call(self._step, StepEpisode.Request(command=command)).state
            self.result.seconds.append(time.perf_counter() - started)
            self._digest(state)

    def _by_topics(self, actions: np.ndarray, first: StateVector) -> None:
        self._assembler.reset()
        done = rclpy.task.Future()
        rest = iter(actions)
        sent = 0.0
        answered = -1

        def answer() -> None:
            nonlocal sent, answered
            observation = self._assembler.newest()
            if observation is None or observation.stamp_ns == answered:
                return
            now = time.perf_counter()
            if answered >= 0:
                self.result.seconds.append(now - sent)
                self.result.digest.update(observation.state.tobytes())
            answered = observation.stamp_ns
            action = next(rest, None)
            if action is None:
                self._on_state = lambda: None
                done.set_result(None)
                return
            sent = time.perf_counter()
            stamp = from_ns(answered)
            self._commands.publish(command_message(action, stamp, stamp, self._frame))

        self._on_state = answer
        # The first state may have been published before the answer to the reset was read.
        self._receive(first)
        self._executor.spin_until_future_complete(done, timeout_sec=PATIENCE + 0.1 * len(actions))
        if not done.done():
            raise TimeoutError("the simulator stopped answering commands in lock-step")

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()


@contextlib.contextmanager
def simulator(suite: str, task: str, stepping_mode: str, extra: Sequence[str] = ()) -> Iterator[subprocess.Popen]:
    """A simulator in a process of its own, stopped at the end. ``extra``: further ``name:=value`` parameters."""
    parameters = [
        f"suite:={suite}",
        f"task:={task}",
        f"stepping_mode:={stepping_mode}",
        "end_on_success:=false",
        *extra,
    ]
    command = [sys.executable, "-m", "polytask_sim_bridge.sim_bridge_node", "--ros-args", "--log-level", "warn"]
    for parameter in parameters:
        command += ["-p", parameter]
    process = subprocess.Popen(command, env=os.environ.copy())
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def measure(
    suite: str = "tabletop", task: str = "drawer-open", episodes: int = 10, steps: int = 90
) -> dict[str, dict[str, Any]]:
    """Measure all three ways; rclpy must be initialised. Keys ``in_process``, ``lock_step`` and ``service``.

    Each holds ``steps_per_second``, ``p50_ms`` and ``p99_ms`` of one step; those through ROS also ``ratio`` to in
    process, and ``same``: whether every state was the same, bit by bit. Episodes in process and through ROS take turns,
    so that whatever else the machine does falls on both.
    """
    direct = InProcess(suite, task)
    table: dict[str, dict[str, Any]] = {}
    for stepping_mode in ("lock_step", "service"):
        direct.result = Measured()
        with simulator(suite, task, stepping_mode):
            driver = Driver(suite, task, stepping_mode)
            try:
                for seed in range(episodes):
                    direct.episode(seed, steps)
                    driver.episode(seed, steps)
            finally:
                driver.close()
        table.setdefault("in_process", direct.result.summary())
        table[stepping_mode] = driver.result.summary()
        table[stepping_mode]["ratio"] = driver.result.steps_per_second / direct.result.steps_per_second
        table[stepping_mode]["same"] = driver.result.digest.digest() == direct.result.digest.digest()
    direct.close()
    return table


def main() -> None:
    """``python -m polytask_sim_bridge.benchmark [suite] [task]``: print the table."""
    rclpy.init()
    try:
        for way, row in measure(*sys.argv[1:3]).items():  # type: ignore[arg-type]
            line = f"{way:10s} {row['steps_per_second']:5.0f} steps/s, p50 {row['p50_ms']:.2f} ms"
            line += f", p99 {row['p99_ms']:.2f} ms"
            if "ratio" in row:
                line += f"   {100 * row['ratio']:5.1f} % of in process, states {'equal' if row['same'] else 'DIFFER'}"
            print(line)
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
