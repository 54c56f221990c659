"""Status of the running goal, from the simulator's episode."""

from __future__ import annotations

from typing import Any

from polytask_interfaces.msg import EpisodeStatus
from polytask_policy_server.run import Run
from polytask_robot_io.outcomes import End, Outcome
from polytask_robot_io.stamps import to_ns

OWN_RESET = 0.1
"""s by which a reset may be stamped after the acceptance of the goal that was asked after it: clocks and simulated time
reach nodes a little apart."""


def judge(status: Any, run: Run) -> End | None:
    """How an EpisodeStatus ends ``run``; None while it goes on.

    Client and server may hear of a new episode in any order. So a run belongs to the episode that was running when it
    began, or to the first one that it hears is running, and only that one's end is its own. An abort that is stamped
    before the goal was accepted is that of the episode before, however late it is heard: the client resets, then asks.
    """
    stamp_ns = to_ns(status.header.stamp)
    news = stamp_ns > run.first_ns
    if status.ended:
        if run.episode_id != status.episode_id:
            return None
        if status.termination_reason == EpisodeStatus.ABORTED and (
            not news or stamp_ns <= run.accepted_ns + OWN_RESET * 1e9
        ):
            run.episode_id = ""
            return None
    elif run.episode_id not in ("", status.episode_id):
        return End(
            Outcome.INTERNAL_ERROR, f"episode {run.episode_id} was replaced by {status.episode_id} under this goal"
        )
    run.episode_id = status.episode_id
    if not status.task:  # a world that goes on judges whatever was asked
        held_for = dict(zip(status.holds, status.held_for, strict=False)).get(run.goal.task)
        if news and held_for is not None:
            before = held_for > run.elapsed_ns * 1e-9
            return End(Outcome.SUCCEEDED, "it was so already" if before else "done")
    elif status.success and news:
        judged = "" if status.task == run.goal.task else f" (the simulator was judging '{status.task}')"
        return End(Outcome.SUCCEEDED, (status.message or "done") + judged)
    if not status.ended:
        return None
    if status.termination_reason == EpisodeStatus.TIME_LIMIT:
        return End(Outcome.TIMED_OUT, f"the episode reached its time limit after {status.step} steps: {status.message}")
    if status.termination_reason == EpisodeStatus.FAULT:
        return End(Outcome.INTERNAL_ERROR, f"the simulator cannot go on: {status.message}")
    return End(
        Outcome.INTERNAL_ERROR, f"the episode was ended under this goal by somebody else's reset: {status.message}"
    )
