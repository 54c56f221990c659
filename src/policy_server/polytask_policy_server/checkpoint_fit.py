"""Which robot a checkpoint was trained for, and whether the one to be served is that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.yaml_text import write_yaml

if TYPE_CHECKING:
    from polytask_policy.policy_spec import PolicySpec


class WrongRobot(ValueError):
    """The policy was trained for another robot; the message lists the differences."""


def fitting_embodiment(description: PolicySpec, given: str) -> Embodiment:
    """Return the embodiment to serve: that ``given`` (name or path), or when empty the one in the checkpoint.

    Raises:
        WrongRobot: the one given does not fit the policy.
        BadEmbodiment: a file or the checkpoint's copy cannot be read.
    """
    robot = Embodiment.load(given) if given else _trained(description)
    require_fit(description, robot)
    return robot


def require_fit(description: PolicySpec, robot: Embodiment) -> None:
    """Raise WrongRobot, listing the differences, unless the policy was trained for ``robot``."""
    trained = _trained(description)
    cameras = [camera.name for camera in robot.cameras]
    found = trained.differences(robot) + description.differences(robot.state_names, robot.command_names, cameras)
    if found:
        raise WrongRobot(
            f"the policy was trained for embodiment '{trained.name}' and does not fit '{robot.name}' "
            "(trained against served): " + "; ".join(found) + ". Serve it with the file it was trained with, or train "
            "a policy for this robot."
        )


def _trained(description: PolicySpec) -> Embodiment:
    return Embodiment.from_yaml(write_yaml(dict(description.embodiment)), source="the checkpoint's embodiment")
