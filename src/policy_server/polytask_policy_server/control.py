"""The control loop: one command for each new observation, in real time and in lock-step.

Nothing is sent on an observation that is old or unusable.

It has no thread and no clock of its own: the node calls it from its executor, tests call it directly.

* In real time it acts as soon as an observation arrives, no more often than the embodiment's control rate.
* In lock-step the simulation waits for the command that answers its last observation. Stamps then count simulated
  time, so the same rule (measured in stamps, not in arrivals) lets every observation through.

When a goal ends, a zero command is sent that answers no observation (its observation stamp is zero). It stops a robot
and a real-time simulation; in lock-step, where a command moves time itself, it matches no observation, so the
simulation stands still, which is the stop there.

An observation that cannot be used (malformed, too old, from the future) is dropped and told of; it ends nothing. A goal
ends when nothing usable has come for a while, and its end names what the last refusal was. Every wait ends on a clock
that always runs, whatever the node's clock does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from polytask_policy_server.episode import judge
from polytask_policy_server.run import Run
from polytask_robot_io.commands import CommandLimiter
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.observation import Observation
from polytask_robot_io.outcomes import End, Outcome
from polytask_robot_io.stamps import to_ns

SIMULATION_PATIENCE = 3.0
"""s of steady time without an observation that a simulation on simulated time is given: it may be rendering, or its
machine busy, while nothing moves. A robot is given the embodiment's ``max_age``."""

STARTING = 5.0
"""s of steady time that the first observation of all is given: server and robot may just be finding each other."""

SLOWEST = 0.01
"""Simulated s in a s of steady time, below which a simulation is taken to stand still."""

FEEDBACK_PERIOD = 0.1
"""s of steady time between two feedbacks."""

EARLY = 0.25
"""Share of a control period by which an observation may be early, or old when a goal begins, and be acted upon."""


class Host(Protocol):
    """What the control loop needs of the node that runs it."""

    def send(self, values: np.ndarray, observation_ns: int) -> None:
        """Publish a command float32 (k,) that answers the observation of that stamp (ns; 0: none)."""

    def feedback(self, run: Run) -> None:
        """Tell the client how far its run is; called at most every FEEDBACK_PERIOD."""

    def ended(self, run: Run, end: End) -> None:
        """Tell the client how its run ended; called once for each run, after the zero command."""

    def refused(self, reason: str) -> None:
        """Take note of an observation that is dropped for its stamp."""

    def missing(self) -> list[str]:
        """Return the camera topics without which the newest state is no observation."""
        ...


class ControlLoop:
    """Carries out one goal at a time."""

    def __init__(
        self,
        embodiment: Embodiment,
        host: Host,
        node_time: Callable[[], int],
        steady_time: Callable[[], float],
        simulated_time: bool,
    ) -> None:
        """Put the parts together.

        Args:
            embodiment: the robot's.
            host: the node.
            node_time: ns of the node's clock, the clock of stamps.
            steady_time: s of a clock that always runs.
            simulated_time: whether the node's clock follows /clock.

        """
        self._host = host
        self._node_time, self._steady_time, self._simulated_time = node_time, steady_time, simulated_time
        self._max_age_ns = embodiment.max_age_ns
        self._period_ns = embodiment.period_ns
        self._patience = max(embodiment.max_age, SIMULATION_PATIENCE) if simulated_time else embodiment.max_age
        # Simulated time may be told after what was seen at it, by some steps.
        self._most_early = self._patience
        self._limiter = CommandLimiter(embodiment)
        self._zero = np.zeros(len(embodiment.command), dtype=np.float32)
        self._newest: Observation | None = None
        self._answered = -np.inf
        self._answered_ns = 0
        self._due_ns = 0
        self._status: Any = None
        self._refused = ""
        self._clock_ns, self._clock_moved = 0, -np.inf
        self.run: Run | None = None

    def begin(self, run: Run) -> None:
        """Carry out ``run`` from now; a run that is going on must have been ended before, see :meth:`end`."""
        if self.run is not None:
            raise RuntimeError("a goal is still running")
        run.begun = self._clock_moved = self._steady_time()
        self._clock_ns = self._node_time()
        self.run, self._refused = run, ""
        self._due_ns = 0
        newest = self._newest
        if newest is not None and newest.stamp_ns > self._node_time() + self._most_early * 1e9:
            newest = None  # of a time that has begun anew
        run.first_ns = newest.stamp_ns if newest is not None else 0
        if self._status is not None and not self._status.ended:
            run.episode_id = self._status.episode_id
        # Lock-step waits for an answer to what it has shown. In real time the next observation is soon there,
        # and one from most of a period ago is not worth a command.
        usable_ns = self._max_age_ns if self._simulated_time else EARLY * self._period_ns
        if newest is not None and self._node_time() - newest.stamp_ns <= usable_ns:
            self._answer(newest)

    def end(self, outcome: Outcome, message: str, hand_over: bool = False) -> None:
        """End the running goal, if there is one.

        ``hand_over``: a newer goal takes over at once, so no zero command interrupts the motion.
        """
        run, self.run = self.run, None
        if run is None:
            return
        self._count(run)
        if not hand_over:
            self._limiter.reset()
            self._host.send(self._zero, 0)
        self._host.ended(run, End(outcome, message))

    def observe(self, observation: Observation) -> None:
        """Take in a new observation, and answer it when a goal is running."""
        if observation is self._newest:
            return
        # Also one that must not be acted upon now: a simulation that stands still shows it once, maybe before its time.
        self._newest = observation
        fault = self._stamp_fault(observation.stamp_ns)
        if fault:
            self._host.refused(fault)
            self.reject(fault)
            return
        self._answer(observation)

    def reject(self, reason: str) -> None:
        """Take note of an observation that could not be used: the reason, should nothing usable follow."""
        self._refused = reason

    def _stamp_fault(self, stamp_ns: int) -> str:
        """Why an observation of that stamp must not be acted upon; empty where it may."""
        now = self._node_time()
        if self._simulated_time and now == 0:
            self._clock_ns = 0
            return self._clock_fault()
        age = (now - stamp_ns) * 1e-9
        if age > self._max_age_ns * 1e-9:
            return (
                f"an observation came {age:.3f} s after its stamp, at most {self._max_age_ns * 1e-9:g} s are allowed: "
                "is the robot's clock in step, the network too slow?"
            )
        if age < -self._most_early:
            return f"an observation's stamp lies {-age:.3f} s in the future: the clocks of the machines differ, or " + (
                "the robot's does not follow /clock" if self._simulated_time else "this node needs use_sim_time"
            )
        return ""

    def hear(self, status: Any) -> None:
        """Take in an EpisodeStatus of the simulator."""
        self._status = status
        if self.run is None:
            return
        end = judge(status, self.run)
        if end is not None:
            self.end(end.outcome, end.message)

    def check(self) -> None:
        """End the running goal when its time is over or observations stay away; called every few milliseconds."""
        run, newest = self.run, self._newest
        if run is None or self._out_of_time(run):
            return
        if self._refused and self._simulated_time and newest is not None and not self._stamp_fault(newest.stamp_ns):
            self._answer(newest)  # its time has been told meanwhile
        # From the last one that could be answered: a simulator may go on showing the end of an episode.
        waited = self._steady_time() - max(self._answered, run.begun)
        if waited > (self._patience if newest is not None else max(self._patience, STARTING)):
            self.end(Outcome.STALE_OBSERVATIONS, f"no observation to act upon for {waited:.2f} s: {self._why_none()}")

    def _why_none(self) -> str:
        if self._status is not None and self._status.ended:
            return (
                f"episode {self._status.episode_id} has ended ({self._status.message or 'over'}); "
                "call reset_episode (./polytask reset) before asking"
            )
        if self._refused:
            return f"the last that came could not be used: {self._refused}"
        if self._simulated_time and self._steady_time() - self._clock_moved > self._patience:
            return self._clock_fault()
        if missing := self._host.missing():
            return f"states come, but no pictures that belong to them on {', '.join(missing)}: is the camera running?"
        if self._newest is None:
            return "none has ever come; is the simulator or the robot's driver running, in the same namespace?"
        return "the simulator or the robot's driver has stopped, or its messages are lost"

    def _out_of_time(self, run: Run) -> bool:
        """End a goal whose time is over; never later for a clock's sake."""
        self._count(run)
        if run.elapsed_ns > run.timeout * 1e9:
            self.end(Outcome.TIMED_OUT, f"not done within {run.timeout:g} s")
            return True
        if not self._simulated_time:
            return False
        steady, most = self._steady_time(), max(run.timeout, self._patience)
        if steady - self._clock_moved <= most and (steady - run.begun) * SLOWEST <= most:
            return False
        self.end(Outcome.TIMED_OUT, f"not done within {run.timeout:g} s: {self._clock_fault()}")
        return True

    def _clock_fault(self) -> str:
        if self._clock_ns == 0:
            return "this node is to run on simulated time (use_sim_time), but nobody publishes /clock"
        return f"/clock stands at {self._clock_ns * 1e-9:.3f} s; is the simulation that publishes it still running?"

    def _count(self, run: Run) -> None:
        """Bring ``run.elapsed_ns`` up to now."""
        steady = self._steady_time()
        if not self._simulated_time:
            run.elapsed_ns = round((steady - run.begun) * 1e9)  # the system's clock may be set meanwhile
            return
        last, self._clock_ns = self._clock_ns, self._node_time()
        if self._clock_ns != last:
            self._clock_moved = steady
        if last:  # else its first tick
            run.elapsed_ns += max(0, self._clock_ns - last)  # one that jumps back began anew

    def _answer(self, observation: Observation) -> None:
        """Send the command for an observation that is new, fresh and due."""
        run = self.run
        if run is None or self._over(observation) or not self._due(observation.stamp_ns):
            return
        if self._out_of_time(run):
            return
        try:
            command = self._limiter.apply(run.act(observation), self._period_ns * 1e-9)
        except Exception as error:  # whatever the policy raises, the robot stops and the server goes on
            self.end(Outcome.INTERNAL_ERROR, f"the policy gave no usable command: {type(error).__name__}: {error}")
            return
        self._refused = ""
        self._host.send(command.values, observation.stamp_ns)
        self._answered_ns = observation.stamp_ns
        run.steps += 1
        self._answered = now = self._steady_time()
        if now >= run.next_feedback:
            run.next_feedback = now + FEEDBACK_PERIOD
            self._host.feedback(run)

    def _over(self, observation: Observation) -> bool:
        """Whether the observation is the last of an episode that has ended: nothing answers it any more."""
        if self._status is None or not self._status.ended:
            return False
        return observation.stamp_ns <= to_ns(self._status.header.stamp)

    def _due(self, stamp_ns: int) -> bool:
        """Whether it is time for the next command, by the stamps, and when the one after will be."""
        if stamp_ns == self._answered_ns:
            return False
        early = self._due_ns - stamp_ns
        if early > 2 * self._period_ns:  # stamps jumped back: time began anew
            self._due_ns = stamp_ns
            if self.run is not None:
                self.run.first_ns = min(self.run.first_ns, stamp_ns)
        elif early > EARLY * self._period_ns:
            return False
        on_grid = self._due_ns > stamp_ns - self._period_ns
        self._due_ns = (self._due_ns if on_grid else stamp_ns) + self._period_ns
        return True
