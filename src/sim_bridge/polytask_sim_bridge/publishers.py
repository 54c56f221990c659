"""Everything the simulator says on topics. Messages are made once and filled anew: this runs every step."""

from __future__ import annotations

import array
import math

import numpy as np
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState

from polytask_interfaces.msg import EpisodeStatus, StateVector
from polytask_robot_io import qos
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.images import to_message
from polytask_robot_io.stamps import from_ns
from polytask_sim_bridge.episode import Episode, EpisodeRunner
from polytask_suites.task import HOLD_STEPS


def doubles(values: np.ndarray) -> array.array:
    """``array('d')`` of values, as messages want it, without a Python object for each."""
    return array.array("d", values.astype(np.float64).tobytes())


class Publishers:
    """Publishes what an :class:`EpisodeRunner` holds; of cameras, the embodiment has one at most."""

    def __init__(self, node: Node, embodiment: Embodiment, runner: EpisodeRunner, simulated_time: bool) -> None:
        """``simulated_time``: publish the stamps on /clock too."""
        self._runner = runner
        self._embodiment = embodiment
        self._period = 1.0 / embodiment.rate
        self._state = StateVector(names=list(embodiment.state_names))
        self._state.header.frame_id = embodiment.command_frame
        self._joints = JointState(name=list(runner.env.joint_names))
        self._clock_message = Clock()
        self._state_out = node.create_publisher(StateVector, "state", qos.STATE)
        self._episode_out = node.create_publisher(EpisodeStatus, "episode", qos.EPISODE)
        self._joints_out = node.create_publisher(JointState, "joint_states", qos.JOINT_STATES)
        self._cameras = [
            (
                camera,
                node.create_publisher(Image, camera.topic, qos.CAMERA),
                node.create_publisher(CameraInfo, camera.info_topic, qos.CAMERA),
            )
            for camera in embodiment.cameras
        ]
        self._clock_out = node.create_publisher(Clock, "/clock", qos.CLOCK) if simulated_time else None

    def state_message(self, stamp_ns: int) -> StateVector:
        """The state now; the same message each time, to be sent before the next call."""
        self._state.header.stamp = from_ns(stamp_ns)
        self._state.values = doubles(self._runner.state)
        return self._state

    def status_message(self, stamp_ns: int, episode: Episode) -> EpisodeStatus:
        """Where an episode stands."""
        held = {name: steps for name, steps in episode.held.items() if steps >= HOLD_STEPS}
        message = EpisodeStatus(
            episode_id=episode.id,
            suite=episode.suite,
            task=episode.task,
            seed=episode.seed,
            step=episode.step,
            reward=episode.reward,
            success=episode.success,
            ended=episode.ended,
            termination_reason=int(episode.termination_reason),
            message=episode.message,
            holds=list(held),
            held_for=[steps * self._period for steps in held.values()],
        )
        message.header.stamp = from_ns(stamp_ns)
        message.header.frame_id = self._embodiment.command_frame
        return message

    def image_messages(self, stamp_ns: int) -> list[Image]:
        """The picture of the embodiment's camera; none where it has no camera."""
        stamp = from_ns(stamp_ns)
        return [to_message(self._runner.picture(), stamp, camera.frame) for camera in self._embodiment.cameras]

    def observation(self, stamp_ns: int) -> None:
        """State and status now, and /clock where time is simulated.

        The state goes first, because whoever drives waits for it; his clock may then be one period behind its stamp.
        When the episode has ended the status goes first: he need not answer.
        """
        episode, state = self._runner.episode, self.state_message(stamp_ns)
        if episode.ended:
            self.status(stamp_ns, episode)
        self._state_out.publish(state)
        if self._clock_out is not None:
            self._clock_message.clock = state.header.stamp
            self._clock_out.publish(self._clock_message)
        if not episode.ended:
            self.status(stamp_ns, episode)
        if self._joints_out.get_subscription_count():
            positions, velocities = self._runner.env.joint_state()
            self._joints.header.stamp = state.header.stamp
            self._joints.position = doubles(positions)
            self._joints.velocity = doubles(velocities)
            self._joints_out.publish(self._joints)

    def heard(self) -> bool:
        """Somebody listens to the state or the episode."""
        return bool(self._state_out.get_subscription_count() or self._episode_out.get_subscription_count())

    def status(self, stamp_ns: int, episode: Episode) -> None:
        """The status of an episode alone, e.g. of one that was aborted."""
        self._episode_out.publish(self.status_message(stamp_ns, episode))

    def pictures_wanted(self) -> bool:
        """Somebody listens to a camera."""
        return any(image.get_subscription_count() for _, image, _ in self._cameras)

    def pictures(self, stamp_ns: int) -> None:
        """Pictures of the cameras somebody listens to, with the stamp of the state they show."""
        for camera, image_out, info_out in self._cameras:
            if image_out.get_subscription_count():
                image = to_message(self._runner.picture(), from_ns(stamp_ns), camera.frame)
                image_out.publish(image)
                info_out.publish(self._camera_info(image))

    def _camera_info(self, image: Image) -> CameraInfo:
        info = CameraInfo(header=image.header, width=image.width, height=image.height, distortion_model="plumb_bob")
        focal = image.height / 2 / math.tan(self._runner.env.camera_fovy / 2)
        centre = ((image.width - 1) / 2, (image.height - 1) / 2)
        info.d = [0.0] * 5
        info.k = [focal, 0.0, centre[0], 0.0, focal, centre[1], 0.0, 0.0, 1.0]
        info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        info.p = [focal, 0.0, centre[0], 0.0, 0.0, focal, centre[1], 0.0, 0.0, 0.0, 1.0, 0.0]
        return info
