"""One goal being carried out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from rclpy.action.server import ServerGoalHandle

    from polytask_policy.goals import Goal
    from polytask_policy.unified import UnifiedPolicy
    from polytask_policy.view import View
    from polytask_robot_io.observation import Observation


@dataclass
class Run:
    """A goal that was encoded and is being carried out."""

    goal_handle: ServerGoalHandle
    """Action goal handle to report to."""
    policy: UnifiedPolicy
    """The policy that encoded the goal; it carries it out to the end, whatever is loaded meanwhile."""
    view: View
    """Of that policy; new for each goal, so frames of an earlier goal are not reused."""
    goal: Goal
    timeout: float
    """s, counted from its beginning; of simulated time where the node follows that, else of the steady clock."""
    accepted_ns: int
    """Node time, ns, at which its client was answered."""
    begun: float = 0.0
    """s of the steady clock."""
    elapsed_ns: int = 0
    """ns since its beginning, as the timeout counts them."""
    steps: int = 0
    """Commands sent."""
    first_ns: int = 0
    """Stamp (ns) of the newest observation when it began; success told of earlier ones is not its own."""
    episode_id: str = ""
    """The simulator's episode it runs in; empty while unknown, and always on a real arm."""
    next_feedback: float = 0.0
    """s of the steady clock."""

    def act(self, observation: Observation) -> np.ndarray:
        """The policy's action (k,) for an observation of the robot."""
        state, images = self.view(observation.state, observation.images.get(self.view.camera))
        return self.policy.act(state, self.goal, images)
