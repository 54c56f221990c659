"""The policy that is served, and how another takes its place without a restart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from rcl_interfaces.msg import SetParametersResult

from polytask_policy.checkpoint import CheckpointError, has_checkpoint
from polytask_policy.text import TextEncoder
from polytask_policy.unified import UnifiedPolicy
from polytask_policy_server.checkpoint_fit import fitting_embodiment, require_fit
from polytask_policy_server.checkpoint_watch import CheckpointWatch
from polytask_robot_io import params
from polytask_robot_io.executors import hand_over

if TYPE_CHECKING:
    from rclpy.node import Node
    from rclpy.parameter import Parameter

    from polytask_policy.policy_spec import PolicySpec
    from polytask_robot_io.diagnostics import NodeDiagnostics

CHECKPOINT = "checkpoint"


class PolicyManager:
    """Holds ``current``, the policy for goals that come from now on, and the robot's ``embodiment``, which stays.

    When the checkpoint in the folder is replaced, or the parameter ``checkpoint`` set to another folder, the new policy
    is loaded in a thread and becomes the current one. Whoever works with the one before keeps it until he is done. One
    that cannot be read or was trained for another robot is refused: diagnostics say so, and the current one stays.
    """

    def __init__(self, node: Node, text: TextEncoder, policy: UnifiedPolicy | None = None) -> None:
        """Declare the parameters ``checkpoint`` and ``embodiment`` and load; ``policy``: serve this one for good.

        ``text`` is shared by all policies that are loaded.

        Raises:
            ValueError: a wrong parameter, a checkpoint that cannot be read, or an embodiment that does not fit.
        """
        self._node = node
        folder = params.declare(
            node, CHECKPOINT, "", "folder of the unified policy; another may be set at any time", changeable=True
        )
        robot = params.declare(
            node, "embodiment", "", "name or path of the robot's embodiment file; empty: the checkpoint's own"
        )
        self._watch: CheckpointWatch | None = None
        if policy is None:
            if not folder:
                raise ValueError("parameter 'checkpoint' is empty: give the folder of a unified policy, as distilled")
            path = Path(folder).expanduser()
            self._watch = CheckpointWatch(path, self._load, self._loaded, self._failed)
            policy = load_policy(path, text)
        self.current = policy
        self._name = folder or type(policy).__name__
        self.embodiment = fitting_embodiment(policy.description, robot)
        self.cameras = cameras_of(policy.description)
        """Names of the cameras that it sees through; they stay, too."""

    def watch(self, diagnostics: NodeDiagnostics) -> None:
        """Show in ``diagnostics`` what is served, and take over new checkpoints from now on."""
        self._diagnostics = diagnostics
        self._show()
        if self._watch is not None:
            self._watch.start()
            self._node.add_on_set_parameters_callback(self._set)

    def close(self) -> None:
        """Watch no longer."""
        if self._watch is not None:
            self._watch.stop()

    def _set(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name == CHECKPOINT and self._watch is not None:
                folder = Path(str(parameter.value)).expanduser()
                if not has_checkpoint(folder):
                    return SetParametersResult(successful=False, reason=f"{folder} holds no checkpoint")
                self._watch.follow(folder)
        return SetParametersResult(successful=True)

    # In the watch's thread.

    def _load(self, folder: Path) -> UnifiedPolicy:
        policy = load_policy(folder, self.current.text)
        require_fit(policy.description, self.embodiment)
        if (cameras := cameras_of(policy.description)) != self.cameras:
            raise ValueError(
                f"it sees through {', '.join(cameras) or 'no camera'}, this server reads "
                f"{', '.join(self.cameras) or 'none'}: start the server anew to serve it"
            )
        return policy

    def _loaded(self, folder: Path, policy: UnifiedPolicy) -> None:
        hand_over(self._node, self._take_over, folder, policy)

    def _failed(self, folder: Path, reason: str) -> None:
        hand_over(self._node, self._diagnostics.drop, "checkpoints refused", f"{folder}: {reason}")

    # In the executor's.

    def _take_over(self, folder: Path, policy: UnifiedPolicy) -> None:
        self.current, self._name = policy, str(folder)
        self._show()
        self._node.get_logger().info(f"new goals are for the policy in {folder}: {', '.join(policy.tasks)}")

    def _show(self) -> None:
        self._diagnostics.show("policy", self._name)
        self._diagnostics.show("tasks", ", ".join(self.current.description.tasks))


def cameras_of(description: PolicySpec) -> tuple[str, ...]:
    """Names of the cameras whose pictures a policy takes."""
    return (description.pictures.camera,) if description.pictures is not None else ()


def load_policy(folder: Path, text: TextEncoder) -> UnifiedPolicy:
    """Load a unified policy for one thread of inference; raises ValueError naming what is wrong."""
    torch.set_num_threads(1)
    try:
        return UnifiedPolicy.load(folder, text)
    except CheckpointError as error:
        raise ValueError(str(error)) from error
