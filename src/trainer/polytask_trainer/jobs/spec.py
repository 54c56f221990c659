"""The trainer's jobs as plain data; :func:`polytask_trainer.jobs.execute.run` does it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

POLYTASK = "polytask"
METHODS = (POLYTASK, "auxdistill", "ot_regularised", "distral", "separate")
"""Ways of learning; all but the first learn several tasks together."""


class JobRefused(Exception):
    """The job cannot be done as asked; the message says why and what to do."""


@dataclass(frozen=True)
class LearnJob:
    """Learn an expert for one task."""

    kind: ClassVar[str] = "learn"
    task: str
    demonstrations: str
    """Folder with the task's recorded episodes; episodes of other tasks in it are passed over. Or an HDF5 file, or
    ``none``; see :func:`polytask_trainer.experts.demonstrations.read_demonstrations`."""
    output: str
    """Run folder; of a method that learns several tasks, the folder of their run folders. The same job with the same
    folder resumes."""
    suite: str = "tabletop"
    reward: str = ""
    """``ot`` or ``environment``; empty: the settings'."""
    steps: int = 0
    """Agent steps; 0: the settings'."""
    seed: int = 0
    settings: str = ""
    """YAML file of a LearnConfig, or the name of one in config/trainer; empty: the one named as the suite where there
    is one, else the defaults."""
    through_topics: bool = False
    """Step a simulator in stepping mode ``service`` through its topics, instead of the suite in this process."""
    namespace: str = ""
    """Of that simulator."""
    policy: str = ""
    """Folder of a unified policy to begin with; empty: begin at random."""
    online: bool = False
    """That policy itself learns the task, and rehearses its others (appendix D), instead of a copy for one goal."""
    method: str = ""
    """``auxdistill``, ``ot_regularised``, ``distral`` or ``separate``, which learn from the suite's own reward, see
    :mod:`polytask_trainer.jobs.multitask`; empty: ``polytask``."""
    with_tasks: tuple[str, ...] = ()
    """Tasks that such a method learns together with this one; empty: those of its settings."""


@dataclass(frozen=True)
class DistillJob:
    """Distil experts into one policy."""

    kind: ClassVar[str] = "distill"
    experts: tuple[str, ...]
    """Run folders of learn jobs."""
    output: str
    steps: int = 0
    """Gradient steps; 0: the default."""
    seed: int = 0
    storage: int = 0
    """Replay samples that the policy remembers, of all tasks together; 0: all."""


@dataclass(frozen=True)
class AddTaskJob:
    """Teach a unified policy the task of one more expert, in place."""

    kind: ClassVar[str] = "add_task"
    expert: str
    """Run folder of a learn job."""
    output: str
    """Folder of the unified policy."""
    steps: int = 0
    """Gradient steps; 0: the default."""
    seed: int = 0
    rehearse: bool = True
    """False: plain fine-tuning, which forgets; a baseline for experiments."""


@dataclass(frozen=True)
class EvaluateJob:
    """Run a policy on fresh starts of one task, in process."""

    kind: ClassVar[str] = "evaluate"
    checkpoint: str
    """Folder of an expert or of a unified policy."""
    task: str
    suite: str = "tabletop"
    goal: str = "task"
    """How a unified policy is asked: ``task``, ``words`` (taught sentences in turn), ``image`` or ``none``."""
    pictures: str = ""
    """For ``image``: folder of the experts' run folders, whose goal_images.npz are shown in turn."""
    episodes: int = 25
    first: int = 0
    """Number of the first start; the same numbers are the same starts for every policy."""
    actions: bool = False
    """Give the first episode's ``actions`` (T, k) too, with which it can be played again."""


@dataclass(frozen=True)
class CallJob:
    """Call a function, which is known by its name alone."""

    kind: ClassVar[str] = "call"
    target: str
    """"module:function". It is called with ``arguments``, ``on_progress`` and ``should_stop``, and returns what
    :func:`polytask_trainer.jobs.execute.run` does."""
    arguments: Mapping[str, Any]
    """JSON-able, by name."""
    output: str
    """Folder in which it works; no other process works there meanwhile."""
    polls: bool = True
    """False: it is called without ``should_stop``, and to stop it KeyboardInterrupt is raised in it; what it returns is
    the result of a finished job. For a function that waits on nodes, which it ends when it is interrupted."""


Job = LearnJob | DistillJob | AddTaskJob | EvaluateJob | CallJob
_KINDS = (LearnJob, DistillJob, AddTaskJob, EvaluateJob, CallJob)
KINDS: Mapping[str, type[Any]] = {kind.kind: kind for kind in _KINDS}


def to_dict(job: Job) -> dict[str, Any]:
    """JSON-able form of a job."""
    return {"kind": job.kind, **dataclasses.asdict(job)}


def from_dict(content: Mapping[str, Any]) -> Job:
    """Reverse of :func:`to_dict`."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
    }
    kind = KINDS[str(values.pop("kind"))]
    job: Job = kind(**values)
    return job
