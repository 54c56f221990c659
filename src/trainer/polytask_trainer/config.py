"""Settings of learning an expert, read from YAML into documented dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from polytask_robot_io.text import printable
from polytask_robot_io.yaml_text import BadYaml, read_file
from polytask_trainer.agents.bc import CloningConfig
from polytask_trainer.agents.ddpg import AgentConfig
from polytask_trainer.pixel_config import PictureConfig
from polytask_trainer.rewards.matching import MatchingConfig


class ConfigError(ValueError):
    """A settings file does not fit; says where, what, and what is known."""


@dataclass(frozen=True)
class LearnConfig:
    """Learning one expert: the schedule, and the settings of its parts."""

    steps: int = 12000
    """Agent steps in the environment, seed episodes included."""
    reward: Literal["ot", "environment"] = "ot"
    """Matching the demonstration by optimal transport, or the environment's own reward."""
    environment_reward_scale: float = 0.1
    horizon_factor: float = 1.2
    """Steps of a training episode, as a multiple of the longest demonstration's: success is not known in training."""
    horizon_extra: int = 16
    """Steps added to that: to arrive from farther starts than the demonstration's, and to stay."""
    seed_episodes: int = 8
    """Episodes of the cloned policy with ``seed_noise``, before any update."""
    seed_noise: float = 0.3
    critic_updates: int = 500
    """Updates of the critics alone after the seed episodes; a critic at random would undo the cloned policy."""
    updates_per_step: float = 1.0
    """Gradient steps per agent step, made when an episode has ended (its rewards are known only then)."""
    best_of: int = 20
    """The averaged actor is remembered whenever as many episodes in a row earned more than ever; at the end it or the
    last one, whichever matches better on fresh training starts, becomes the expert. No success signal is in this."""
    goal_pictures: int = 64
    """Pictures of final states, of the rollouts on fresh training starts that match best."""
    goal_rollouts: int = 80
    """Rollouts from which those are chosen, and by which the expert is."""
    checkpoint_seconds: float = 20.0
    """A resumable state is written at the first end of an episode after this time."""
    seed: int = 0
    agent: AgentConfig = field(default_factory=AgentConfig)
    cloning: CloningConfig = field(default_factory=CloningConfig)
    matching: MatchingConfig = field(default_factory=MatchingConfig)
    pictures: PictureConfig | None = None
    """What the policy sees; without it, the policy takes the whole state and no picture."""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.reward not in ("ot", "environment"):
            raise ValueError(f"reward must be ot or environment, not {self.reward!r}")
        for name in ("steps", "seed_episodes", "best_of", "goal_pictures", "environment_reward_scale"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        for name in ("horizon_extra", "seed_noise", "critic_updates", "updates_per_step", "checkpoint_seconds", "seed"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, not {getattr(self, name)}")
        if not self.horizon_factor >= 1.0:
            raise ValueError(f"horizon_factor must be at least 1, not {self.horizon_factor}")
        if self.goal_rollouts < self.goal_pictures:
            raise ValueError("goal_rollouts must be at least goal_pictures")


def load_learn_config(path: Path | str, **overrides: Any) -> LearnConfig:
    """Read a YAML file into a LearnConfig; ``overrides`` replace top-level entries. Raises ConfigError."""
    return learn_config(read_yaml(path, overrides), str(path))


def read_yaml(path: Path | str, overrides: Mapping[str, Any]) -> Any:
    """What a YAML file says; of a mapping, ``overrides`` replace entries. Raises ConfigError."""
    try:
        data = read_file(Path(path)) or {}
    except BadYaml as error:
        raise ConfigError(str(error)) from error
    return {**data, **overrides} if isinstance(data, Mapping) else data


def learn_config(data: Any, where: str = "settings") -> LearnConfig:
    """Build a LearnConfig from nested mappings (what ``dataclasses.asdict`` gives). Raises ConfigError."""
    parts = {"agent": AgentConfig, "cloning": CloningConfig, "matching": MatchingConfig, "pictures": PictureConfig}
    values = _checked(LearnConfig, data, where)
    for name, kind in parts.items():
        if values.get(name) is not None:
            values[name] = _made(kind, _checked(kind, values[name], f"{where}: {name}"), f"{where}: {name}")
    made: LearnConfig = _made(LearnConfig, values, where)
    return made


def read_settings(kind: type[Any], data: Any, where: str) -> Any:
    """Build a dataclass from a mapping: known names, numbers where numbers belong. Raises ConfigError."""
    return _made(kind, _checked(kind, data, where), where)


def _checked(kind: type, data: Any, where: str) -> dict[str, Any]:
    """Return ``data`` as keyword arguments of the dataclass ``kind``: known names, numbers where numbers belong."""
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where}: must be a mapping, not {type(data).__name__}")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = sorted(map(str, set(data) - set(fields)))
    if unknown:
        raise ConfigError(f"{where}: unknown settings {printable(', '.join(unknown))}; known: {', '.join(fields)}")
    values: dict[str, Any] = {}
    for name, value in data.items():
        wanted = str(fields[name].type)
        if wanted in _MEANT and not _MEANT[wanted][0](value):
            raise ConfigError(f"{where}: {name} must be {_MEANT[wanted][1]}, not {value!r:.60}")
        values[name] = int(value) if wanted == "int" else float(value) if wanted == "float" else value
        if isinstance(value, list):
            values[name] = tuple(value)
    return values


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST


def _is_whole(value: Any) -> bool:
    return _is_number(value) and int(value) == value


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _list_of(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and all(map(holds, value))


LARGEST = 1e12
"""Magnitude of any number in the settings."""
_MEANT: dict[str, tuple[Callable[[Any], bool], str]] = {
    "int": (_is_whole, "a whole number"),
    "float": (_is_number, "a number (of 1e12 at most)"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "str": (_is_text, "text (in quotes)"),
    "tuple[int, ...]": (_list_of(lambda value: isinstance(value, int) and _is_whole(value)), "a list of whole numbers"),
    "tuple[str, ...]": (_list_of(_is_text), "a list of text (in quotes)"),
}
"""By the type of a field: what it takes, and how to say so."""


def _made(kind: type, values: dict[str, Any], where: str) -> Any:
    try:
        return kind(**values)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
