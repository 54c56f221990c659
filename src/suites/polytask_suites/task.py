"""A suite's configuration: its tasks, how long an episode is, what the camera sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from polytask_robot_io.yaml_text import BadYaml, read_file, read_yaml

HOLD_STEPS = 5
"""Success is a predicate that held for this many control steps in a row."""


class SuiteError(ValueError):
    """A suite's file, or a name asked of a suite, is wrong; says what, where and what to do."""


@dataclass(frozen=True)
class Task:
    """One task of a suite."""

    name: str
    description: str
    instructions: tuple[str, ...]
    """Sentences that are taught for it."""
    horizon: int
    """Control steps after which an episode is truncated."""
    features: tuple[Mapping[str, Any], ...] = ()
    """Relations between state entries that say how the task goes; read by the trainer's matching reward."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What the suite's environment has to know of it besides, e.g. a length of the body."""


@dataclass(frozen=True)
class CameraConfig:
    """The camera whose picture is the observation's ``camera``."""

    name: str
    width: int
    height: int


@dataclass(frozen=True)
class SuiteConfig:
    """What a suite's YAML file says."""

    name: str
    control_rate: float
    """Control steps per second."""
    action_repeat: int
    camera: CameraConfig
    tasks: Mapping[str, Task]
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Named lists of tasks, e.g. the paper's sixteen."""

    def task(self, name: str) -> Task:
        """The task called ``name``; raises SuiteError naming those there are."""
        if name not in self.tasks:
            raise SuiteError(f"suite {self.name!r} has no task {name!r}; it has: {', '.join(self.tasks)}")
        return self.tasks[name]


def load_suite(name: str, path: Path | None = None) -> SuiteConfig:
    """Reads ``path``, or the suite's own file in this package. Raises SuiteError on what does not fit."""
    where = str(path) if path else f"{name}.yaml"
    try:
        data = read_file(path) if path else read_yaml(_packaged(name), where)
    except BadYaml as error:
        raise SuiteError(str(error)) from error
    try:
        return _parse(name, data)
    except (KeyError, TypeError, ValueError) as error:
        raise SuiteError(f"{where}: missing or wrong entry: {error!r}") from error


def _packaged(name: str) -> str:
    file = resources.files(__package__).joinpath(f"{name}.yaml")
    if not file.is_file():
        there = sorted(
            entry.name[:-5] for entry in resources.files(__package__).iterdir() if entry.name.endswith(".yaml")
        )
        raise SuiteError(f"there is no suite {name!r}; there are: {', '.join(there)}")
    return file.read_text("utf-8")


def _instructions(entry: Mapping[str, Any], templates: Sequence[str]) -> tuple[str, ...]:
    """The taught sentences as written, or each of the task's phrases in each template."""
    if "instructions" in entry:
        return tuple(str(sentence) for sentence in entry["instructions"])
    sentences = [template.format(phrase) for template in templates for phrase in entry["phrases"]]
    return tuple(sentence[0].upper() + sentence[1:] for sentence in sentences)


def _parse(name: str, data: Mapping[str, Any]) -> SuiteConfig:
    horizon = int(data["horizon"])
    tasks = {}
    for task_name, entry in data["tasks"].items():
        tasks[task_name] = Task(
            name=task_name,
            description=str(entry["description"]),
            instructions=_instructions(entry, data.get("templates", ("{}.",))),
            horizon=int(entry.get("horizon", horizon)),
            features=tuple(entry.get("features", data.get("features", ()))),
            parameters=dict(entry.get("parameters", {})),
        )
    camera = data["camera"]
    config = SuiteConfig(
        name=name,
        control_rate=float(data["control_rate"]),
        action_repeat=int(data.get("action_repeat", 1)),
        camera=CameraConfig(str(camera["name"]), int(camera["width"]), int(camera["height"])),
        tasks=tasks,
        lists={key: tuple(names) for key, names in data.get("lists", {}).items()},
    )
    for number in (config.control_rate, config.action_repeat, config.camera.width, config.camera.height, horizon):
        if number <= 0:
            raise ValueError("rates, sizes, horizon and action_repeat must be above zero")
    for key, names in config.lists.items():
        for task_name in names:
            if task_name not in tasks:
                raise ValueError(f"list {key!r} names the unknown task {task_name!r}")
    return config
