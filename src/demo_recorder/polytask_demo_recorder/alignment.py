"""From the messages of one recorded episode to aligned arrays: observations, and the action that answers each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from polytask_robot_io.commands import CommandLimiter
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.errors import BadCommand, BadMessage
from polytask_robot_io.observation import Observation, ObservationAssembler
from polytask_robot_io.stamps import to_ns

EPISODE_TOPIC = "episode"


class Issued(NamedTuple):
    """One recorded command."""

    stamp_ns: int
    """When it was issued."""
    answers_ns: int
    """Stamp of the observation it answers; 0: none, as in teleoperation."""
    values: npt.NDArray[np.float32]
    """``(k,)`` within the embodiment's limits."""


@dataclass
class Recorded:
    """What an episode's messages amount to, before alignment."""

    observations: list[Observation] = field(default_factory=list)
    commands: list[Issued] = field(default_factory=list)
    steps: dict[int, int] = field(default_factory=dict)
    """Control step by observation stamp, as the simulator's status tells; empty for a real robot."""
    end_ns: int | None = None
    """Stamp at which the status reported the end."""

    @property
    def stepped(self) -> list[int]:
        """Stamps at which a control step had been taken; none where there is no status."""
        return [stamp for stamp, step in self.steps.items() if step > 0]


def collect(messages: Iterable[tuple[str, Any]], embodiment: Embodiment, cameras: bool) -> Recorded:
    """Read (relative topic, message) pairs in the order in which they arrived, by the code that live nodes use.

    Raises:
        BadMessage: an observation or command does not fit the embodiment file.
    """
    assembler = ObservationAssembler(embodiment, cameras)
    wanted = assembler.topics
    limiter = CommandLimiter(embodiment)
    recorded = Recorded()
    for topic, message in messages:
        if topic == embodiment.command_topic:
            try:
                values = limiter.apply(message.values).values
            except BadCommand as error:
                raise BadMessage(f"{topic}: {error}") from error
            stamp_ns, answers_ns = to_ns(message.header.stamp), to_ns(message.observation_stamp)
            recorded.commands.append(Issued(stamp_ns, answers_ns, values))
        elif topic == EPISODE_TOPIC:
            stamp_ns = to_ns(message.header.stamp)
            recorded.steps[stamp_ns] = int(message.step)
            if message.ended and recorded.end_ns is None:
                recorded.end_ns = stamp_ns
        elif topic in wanted and assembler.feed(topic, message):
            newest = assembler.newest()
            if newest is not None and (not recorded.observations or newest is not recorded.observations[-1]):
                recorded.observations.append(newest)
    return recorded


def episode_observations(recorded: Recorded) -> list[Observation]:
    """The observations between reset and end, one for each control step.

    A simulator in real time publishes the reset scene again and again until somebody drives; of these the last is kept.
    """
    inside = [one for one in recorded.observations if recorded.end_ns is None or one.stamp_ns <= recorded.end_ns]
    steps = [recorded.steps.get(one.stamp_ns) for one in inside]
    following = [*steps[1:], None] if steps else []
    return [one for one, step, after in zip(inside, steps, following, strict=True) if step is None or step != after]


def answers(
    stamps: npt.NDArray[np.int64], commands: Sequence[Issued], embodiment: Embodiment
) -> npt.NDArray[np.float32]:
    """The action ``float32 (T, k)`` that answers each observation but the last, for stamps ``int64 (T+1,)``.

    An observation that no command names is answered by what was in force until the next one: the newest command issued
    by then, or zero, which holds still, when that is older than the embodiment's ``max_age``. So teleoperation, whose
    commands answer nothing, is aligned by time.
    """
    actions = np.zeros((len(stamps) - 1, len(embodiment.command)), dtype=np.float32)
    named: Mapping[int, Issued] = {command.answers_ns: command for command in commands if command.answers_ns}
    by_time = sorted(commands, key=lambda command: command.stamp_ns)
    issued = np.array([command.stamp_ns for command in by_time], dtype=np.int64)
    for place, stamp in enumerate(stamps[:-1].tolist()):
        if stamp in named:
            actions[place] = named[stamp].values
            continue
        until = int(stamps[place + 1])
        before = int(np.searchsorted(issued, until, side="right")) - 1
        if before >= 0 and until - int(issued[before]) <= embodiment.max_age_ns:
            actions[place] = by_time[before].values
    return actions
