"""From the messages of one recorded episode to aligned arrays: observations, and the action that answers each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from polytask_demo_recorder.dataset.clocks import Arrival
from polytask_robot_io.commands import CommandLimiter
from polytask_robot_io.embodiment import Embodiment
from polytask_robot_io.errors import BadCommand, BadMessage
from polytask_robot_io.observation import Observation, ObservationAssembler
from polytask_robot_io.stamps import to_ns

EPISODE_TOPIC = "episode"


class Issued(NamedTuple):
    """One recorded command."""

    answers_ns: int
    """Stamp of the observation it answers; 0: none, as in teleoperation."""
    place: int
    """How many messages of the episode came before it."""
    log_ns: int
    """When it came, on the recorder's clock."""
    values: npt.NDArray[np.float32]
    """``(k,)`` within the embodiment's limits."""


@dataclass
class Recorded:
    """What an episode's messages amount to, before alignment."""

    observations: list[Observation] = field(default_factory=list)
    states: list[Arrival] = field(default_factory=list)
    """All states in the order in which they came, with pictures or without."""
    commands: list[Issued] = field(default_factory=list)
    steps: dict[int, int] = field(default_factory=dict)
    """Control step by observation stamp, as the simulator's status tells; empty for a real robot."""
    end_ns: int | None = None
    """Stamp at which the status reported the end."""
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)
    """How many messages could not be used, and the last reason, by topic."""
    back_ns: int = 0
    """Furthest that a state's stamp was behind the newest before it."""
    beside: dict[str, list[int]] = field(default_factory=dict)
    """Of pictures, and of commands that answer nothing: stamp minus that of the newest state that had come, ns."""
    unstamped: int = 0
    """Commands that answer nothing and have no stamp."""

    def refuse(self, topic: str, reason: str) -> None:
        """A message is dropped, as a live node would drop it."""
        self.refused[topic] = (self.refused.get(topic, (0, ""))[0] + 1, reason)


class Collector:
    """Takes in an episode's messages in the order in which they came, by the code that live nodes use."""

    def __init__(self, embodiment: Embodiment, cameras: bool, keep_pictures: bool = True) -> None:
        """``cameras``: whether observations need pictures; ``keep_pictures``: false where they are merely checked."""
        self.recorded = Recorded()
        self._embodiment = embodiment
        self._keep_pictures = keep_pictures
        self._states = ObservationAssembler(embodiment, cameras=False)
        self._seen = ObservationAssembler(embodiment, cameras) if cameras else self._states
        self._limiter = CommandLimiter(embodiment)
        self._wanted: dict[str, set[str]] = {}
        for entry in embodiment.state:
            self._wanted.setdefault(entry.topic, set()).add(entry.entry)

    def take(self, topic: str, place: int, log_ns: int, message: Any) -> None:
        """One message of a relative topic; one that is unusable is dropped and counted.

        ``place``: how many came before it; ``log_ns``: the recorder's clock. A BadMessage stands for one that could
        not even be decoded.
        """
        try:
            if isinstance(message, BadMessage):
                raise message
            if topic == self._embodiment.command_topic:
                self._take_command(place, log_ns, message)
            elif topic == EPISODE_TOPIC:
                self._take_status(message)
            elif topic in self._seen.topics:
                self._take_observation(topic, place, log_ns, message)
        except (BadMessage, BadCommand) as error:
            self.recorded.refuse(topic, str(error).removeprefix(f"{topic}: "))
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            self.recorded.refuse(topic, f"not the type of message that belongs there: {str(error)[:100]}")

    def _take_command(self, place: int, log_ns: int, message: Any) -> None:
        values = self._limiter.apply(message.values).values
        stamp_ns, answers_ns = to_ns(message.header.stamp), to_ns(message.observation_stamp)
        self.recorded.commands.append(Issued(answers_ns, place, log_ns, values))
        if answers_ns <= 0:
            self._compare(self._embodiment.command_topic, stamp_ns)
            self.recorded.unstamped += stamp_ns <= 0

    def _take_status(self, message: Any) -> None:
        stamp_ns = to_ns(message.header.stamp)
        self.recorded.steps[stamp_ns] = int(message.step)
        if message.ended and self.recorded.end_ns is None:
            self.recorded.end_ns = stamp_ns

    def _take_observation(self, topic: str, place: int, log_ns: int, message: Any) -> None:
        recorded, stamp_ns = self.recorded, to_ns(message.header.stamp)
        if topic in self._wanted:
            if self._states.feed(topic, message):
                newest = self._states.newest()
                if newest is not None and (not recorded.states or newest.stamp_ns != recorded.states[-1].stamp_ns):
                    recorded.states.append(Arrival(newest.stamp_ns, place, log_ns))
            elif recorded.states and self._tells_state(topic, message):
                recorded.back_ns = max(recorded.back_ns, recorded.states[-1].stamp_ns - stamp_ns)
            if len(recorded.states) > 1:
                recorded.back_ns = max(recorded.back_ns, recorded.states[-2].stamp_ns - recorded.states[-1].stamp_ns)
        if self._seen is not self._states or topic not in self._wanted:
            self._seen.feed(topic, message)
            if topic not in self._wanted:
                self._compare(topic, stamp_ns)
        newest = self._seen.newest()
        if newest is not None and (not recorded.observations or newest.stamp_ns != recorded.observations[-1].stamp_ns):
            recorded.observations.append(newest if self._keep_pictures else replace(newest, images={}))

    def _tells_state(self, topic: str, message: Any) -> bool:
        """Whether a message holds any entry of the state; others' joints may come on the same topic."""
        names = message.names if hasattr(message, "names") else message.name
        return not self._wanted[topic].isdisjoint(names)

    def _compare(self, topic: str, stamp_ns: int) -> None:
        beside = self.recorded.beside.setdefault(topic, [])
        if stamp_ns > 0 and self.recorded.states:
            beside.append(stamp_ns - self.recorded.states[-1].stamp_ns)


def episode_stamps(recorded: Recorded, stamps: Sequence[int]) -> list[int]:
    """Those of the stamps between reset and end, one for each control step.

    A simulator in real time publishes the reset scene again and again until somebody drives; of these the last is kept.
    """
    inside = [stamp for stamp in stamps if recorded.end_ns is None or stamp <= recorded.end_ns]
    steps = [recorded.steps.get(stamp) for stamp in inside]
    following = [*steps[1:], None] if steps else []
    return [stamp for stamp, step, after in zip(inside, steps, following, strict=True) if step is None or step != after]


def answers(stamps: npt.NDArray[np.int64], recorded: Recorded, embodiment: Embodiment) -> npt.NDArray[np.float32]:
    """The action ``float32 (T, k)`` that answers each observation but the last, for stamps ``int64 (T+1,)``.

    An observation that no command names is answered by what was in force when the next one came: the newest command
    that had come by then, or zero, which holds still, when that is older than the embodiment's ``max_age``. So
    teleoperation, whose commands answer nothing, is aligned by arrival: the clock of another machine tells nothing.
    """
    actions = np.zeros((len(stamps) - 1, len(embodiment.command)), dtype=np.float32)
    named: Mapping[int, Issued] = {command.answers_ns: command for command in recorded.commands if command.answers_ns}
    arrivals = {one.stamp_ns: one for one in recorded.states}
    places = np.array([command.place for command in recorded.commands], dtype=np.int64)
    for place, stamp in enumerate(stamps[:-1].tolist()):
        if stamp in named:
            actions[place] = named[stamp].values
            continue
        until = arrivals[int(stamps[place + 1])]
        before = int(np.searchsorted(places, until.place)) - 1
        if before >= 0 and until.log_ns - recorded.commands[before].log_ns <= embodiment.max_age_ns:
            actions[place] = recorded.commands[before].values
    return actions
