"""Settings of learning several tasks at once, as documented dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from polytask_trainer.common.settings import read_settings, read_yaml


@dataclass(frozen=True)
class SacConfig:
    """Soft actor-critic, an agent for each task (Haarnoja et al. 2018; for discrete actions Christodoulou 2019)."""

    hidden: tuple[int, ...] = (64,)
    """Hidden layers of policies and critics; none: tables, for states that are cells of a grid."""
    learning_rate: float = 1e-3
    """Adam, of everything."""
    batch_size: int = 64
    """Transitions of each task in an update."""
    gamma: float = 0.99
    critic_rate: float = 0.01
    """Polyak rate of the target critics."""
    temperature: float = 0.01
    """alpha: the weight of the entropy, or with ``target_entropy`` where it begins."""
    target_entropy: float | None = None
    """Entropy (nats) that the temperature is steered to; None: the temperature is fixed."""

    def __post_init__(self) -> None:
        """Check the values."""
        if any(size < 1 for size in self.hidden):
            raise ValueError(f"sac.hidden must be positive sizes, not {self.hidden}")
        for name in ("learning_rate", "batch_size", "temperature"):
            if not getattr(self, name) > 0:
                raise ValueError(f"sac.{name} must be positive, not {getattr(self, name)}")
        if not (0.0 <= self.gamma < 1.0 and 0.0 < self.critic_rate <= 1.0):
            raise ValueError("sac.gamma must lie in [0, 1) and sac.critic_rate in (0, 1]")


@dataclass(frozen=True)
class TransportConfig:
    """The proxy reward, ``sigma exp(-beta T s_i)`` (see proxy.py)."""

    sigma: float = 0.02
    """Its upper bound, in units of the environment's reward."""
    beta: float = 5.0
    """How quickly it falls with the cost; the paper uses 2 and 5."""
    cost: Literal["euclidean", "squared"] = "euclidean"
    """Ground cost between two state-action pairs: the distance of their features, or its square."""
    action_weight: float = 0.1
    """Distance between two actions that have nothing in common (continuous: -1 and 1), beside the states' features."""
    epsilon: float = 0.01
    """Entropic regularisation of the plan, in units of the cost."""
    points: int = 48
    """Points of a trajectory in the plan, evenly spaced in time: any number of trajectories solve as one batch."""
    pool: int = 32
    """Latest trajectories of each task with which the others are paired."""
    pairing: Literal["random", "similar", "return"] = "random"
    """With a trajectory of another task drawn at random (paper), with the nearest of ``candidates`` so drawn, or with
    one drawn in proportion to what it earned: where only the goal pays, one that got there, and none until then."""
    candidates: int = 4

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("sigma", "beta", "epsilon", "points", "pool", "candidates"):
            if not getattr(self, name) > 0:
                raise ValueError(f"transport.{name} must be positive, not {getattr(self, name)}")
        if not self.action_weight >= 0.0:
            raise ValueError(f"transport.action_weight must not be negative, not {self.action_weight}")


@dataclass(frozen=True)
class TasksConfig:
    """Learning several tasks at once."""

    method: Literal["ot_regularised", "distral", "separate"] = "ot_regularised"
    steps: int = 60_000
    """Environment steps of each task."""
    environments: int = 8
    """Of each task, stepped together. A round is one horizon of all of them, then come its updates."""
    updates_per_step: float = 0.125
    """Updates (of all agents together) per environment step of a task."""
    replay: int = 30_000
    """Latest transitions of each task that are learned from."""
    step_cost: float = 0.0
    """Taken from every reward. Critics begin as if nothing cost anything, so agents go where they have not been."""
    distral_share: float = 0.5
    """Distral's alpha = c_KL / (c_KL + c_Ent): how much of the regularisation is towards the shared policy."""
    seed: int = 0
    repetitions: int = 1
    """Trainings that run side by side, with nothing in common but the processor; ten in one stack cost hardly more
    time than one."""
    checkpoint_seconds: float = 20.0
    """A resumable state is written after the first round that ends after this time."""
    sac: SacConfig = field(default_factory=SacConfig)
    transport: TransportConfig = field(default_factory=TransportConfig)

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("steps", "environments", "updates_per_step", "replay", "repetitions"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if not self.step_cost >= 0.0:
            raise ValueError(f"step_cost must not be negative, not {self.step_cost}")
        if not 0.0 <= self.distral_share < 1.0:
            raise ValueError(f"distral_share must lie in [0, 1), not {self.distral_share}")


def tasks_config(data: Any, where: str = "settings") -> TasksConfig:
    """Build a TasksConfig from nested mappings (what ``dataclasses.asdict`` gives). Raises ConfigError."""
    return read_settings(TasksConfig, data, where)


def load_tasks_config(path: Path, **overrides: Any) -> TasksConfig:
    """Read a YAML file; ``overrides`` replace its entries. Raises ConfigError."""
    return tasks_config(read_yaml(path, overrides), str(path))
