"""A scripted expert at the controls: reads ``state``, publishes ``command``. For demonstrations and for trials."""

from __future__ import annotations

import sys

import numpy as np
from rclpy.node import Node

from polytask_interfaces.msg import Command, EpisodeStatus
from polytask_robot_io import qos
from polytask_robot_io.commands import command_message
from polytask_robot_io.diagnostics import NodeDiagnostics
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.executors import run_node
from polytask_robot_io.observation import ObservationAssembler
from polytask_robot_io.params import declare
from polytask_robot_io.stamps import SECOND, from_ns, to_ns
from polytask_robot_io.subscriptions import subscribe_observations
from polytask_suites import EMBODIMENTS, SUITES, scripted_expert

OTHER_CLOCK = 3600.0
"""Seconds; a stamp further away is of simulated time, and its difference to this node's clock means nothing."""


class ScriptedExpertNode(Node):
    """Answers every observation of a running episode with the script's action, with noise if asked for."""

    def __init__(self) -> None:
        """Raises ValueError for a wrong parameter or task."""
        super().__init__("scripted_expert")
        self._suite = declare(self, "suite", "tabletop", "suite whose scripts to use", choices=SUITES)
        self._fixed_task = declare(self, "task", "", "task to do; empty: what the episode's status says")
        self._noise = declare(self, "noise", 0.0, "standard deviation of Gaussian noise on the action", minimum=0.0)
        self._seed = declare(self, "seed", 0, "seed of that noise, together with the episode's", minimum=0)
        file = declare(self, "embodiment", "", "embodiment file, by name or path; empty: the suite's own")
        self._embodiment = Embodiment.load(file or EMBODIMENTS[self._suite])
        self._expert = scripted_expert(self._suite, self._fixed_task) if self._fixed_task else None
        self._episode_id = ""
        self._running = False
        self._answered = Command()
        self._step = 0
        self._random = np.random.default_rng(self._seed)
        self._diagnostics = NodeDiagnostics(self, self._embodiment.name)
        self._rate = self._diagnostics.intervals("command")
        self._latency = self._diagnostics.durations("observation to command")
        self._command_out = self.create_publisher(Command, self._embodiment.command_topic, qos.COMMAND)
        self._assembler = ObservationAssembler(self._embodiment, cameras=False)
        self.create_subscription(EpisodeStatus, "episode", self._on_status, qos.EPISODE)
        subscribe_observations(
            self, self._assembler, self._act, lambda reason: self._diagnostics.drop("observations refused", reason)
        )

    def _on_status(self, status: EpisodeStatus) -> None:
        if status.termination_reason == EpisodeStatus.ABORTED:
            # The next state belongs to an episode whose task is not known yet.
            self._running = False
            return
        if status.episode_id != self._episode_id:
            self._episode_id = status.episode_id
            task = self._fixed_task or status.task
            if not task:  # the world goes on by itself
                self._expert = None
                return
            try:
                self._expert = scripted_expert(self._suite, task)
            except ValueError as error:
                self._expert = None
                self._diagnostics.drop("episodes without a script", str(error))
                return
            self._expert.reset()
            self._step = -1
            # Noise follows from the two seeds alone, whatever was done in between.
            self._random = np.random.default_rng([self._seed, status.seed])
            self._rate.pause()
        self._running = not status.ended
        if self._running and status.step == self._step:
            # A simulator that says the same again has had no answer; the first may have been sent before it could hear.
            self._command_out.publish(self._answered)
        self._step = status.step
        # An episode's first state may have come before its status.
        self._act()

    def _act(self) -> None:
        observation = self._assembler.newest()
        if observation is None or not self._running or self._expert is None:
            return
        if observation.stamp_ns == to_ns(self._answered.observation_stamp):
            return
        action = self._expert(observation.state)
        if self._noise > 0:
            action = np.clip(action + self._random.normal(0.0, self._noise, action.shape), -1.0, 1.0)
        now = self.get_clock().now()
        frame = self._embodiment.command_frame
        self._answered = command_message(action, now.to_msg(), from_ns(observation.stamp_ns), frame)
        self._command_out.publish(self._answered)
        self._rate.tick()
        latency = (now.nanoseconds - observation.stamp_ns) / SECOND
        if abs(latency) < OTHER_CLOCK:
            self._latency.add(latency)


def main() -> None:
    """Entry point of the executable ``scripted_expert``."""
    sys.exit(run_node(ScriptedExpertNode))


if __name__ == "__main__":
    main()
