"""Settings of AuxDistill, for one training run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from polytask_trainer.common.settings import read_settings, read_yaml


@dataclass(frozen=True)
class AuxDistillConfig:
    """Multi-task recurrent PPO with the weighted distillation loss. Symbols are the paper's where it has them."""

    main: str
    """The long task."""
    auxiliaries: tuple[str, ...] = ()
    """The tasks that are distilled into it, in the order of the relevance f_i; none: the main task is learned alone."""
    stages: tuple[str, ...] = ()
    """For ``oracle``: the auxiliary task that trains each stage of the oracle plan, in order; empty where none does."""
    relevance: Literal["none", "oracle", "classifier", "value"] = "oracle"
    """Where the relevance f_i(s) comes from, see relevance.py; ``none``: the same PPO without distillation."""
    distill: float = 0.1
    """Coefficient λ of the distillation loss."""
    distill_ramp: int = 0
    """Environment steps over which λ grows from 0."""

    steps: int = 4_000_000
    """Environment steps, of all environments together."""
    num_envs: int = 256
    main_share: float = 0.4
    """Share of the environments that play the main task; the others are split evenly between the auxiliary tasks."""
    sequence: int = 32
    """Steps of each environment between updates, T: also the length of back-propagation through time."""
    minibatches: int = 4
    """An epoch's parts, of whole sequences each."""
    epochs: int = 2
    learning_rate: float = 1e-3
    """Falls linearly to 0."""
    gamma: float = 0.99
    """Discount of the auxiliary tasks."""
    main_gamma: float = 0.999
    """Discount of the main task, whose rewards are far apart."""
    gae_lambda: float = 0.95
    clip: float = 0.2
    """Range of the probability ratio, and of the change of a normalised value."""
    value_weight: float = 0.5
    entropy_weight: float = 1e-3
    max_gradient: float = 10.0
    """Norm to which gradients are cut."""
    hidden: int = 128
    log_std: float = -1.0
    """Logarithm of the standard deviation of actions, at the start; learned, for each task."""
    popart_rate: float = 0.03
    """Share of a rollout in the running statistics of its task's returns."""
    restart: int = 40
    """Updates after which all environments begin anew; only there is a resumable state written."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        if self.relevance != "none" and not self.auxiliaries:
            raise ValueError("without auxiliary tasks nothing can be distilled: relevance must be none")
        if len(set(self.tasks)) != len(self.tasks):
            raise ValueError(f"each task may be named once, not {', '.join(self.tasks)}")
        if unknown := set(self.stages) - {"", *self.auxiliaries}:
            raise ValueError(f"stages name {', '.join(sorted(unknown))}, which are no auxiliary tasks")
        if self.relevance == "oracle" and not any(self.stages):
            raise ValueError("relevance oracle needs to know which auxiliary task trains which stage: stages")
        positive = ("steps", "num_envs", "sequence", "minibatches", "epochs", "learning_rate", "hidden", "restart")
        for name in positive:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        for name in ("distill", "distill_ramp", "entropy_weight", "seed"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, not {getattr(self, name)}")
        for name in ("gamma", "main_gamma", "gae_lambda", "popart_rate", "main_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in (0, 1], not {getattr(self, name)}")
        if self.num_envs % self.minibatches or self.num_envs < len(self.tasks):
            raise ValueError(f"num_envs must be a multiple of minibatches and at least {len(self.tasks)}")

    @property
    def tasks(self) -> tuple[str, ...]:
        """All tasks, numbered as the policy does: the main one first."""
        return (self.main, *self.auxiliaries)

    @property
    def updates(self) -> int:
        """Rollouts, each followed by ``epochs`` passes over it."""
        return max(1, self.steps // (self.num_envs * self.sequence))

    def weight(self, update: int) -> float:
        """Coefficient λ of an update, from 0 on."""
        if self.distill_ramp == 0:
            return self.distill
        return self.distill * min(1.0, update * self.num_envs * self.sequence / self.distill_ramp)

    def env_tasks(self) -> list[str]:
        """Task of each environment: the main one's share, then the others in turn."""
        if not self.auxiliaries:
            return [self.main] * self.num_envs
        main = max(1, round(self.main_share * self.num_envs))
        return [self.main] * main + [self.auxiliaries[n % len(self.auxiliaries)] for n in range(self.num_envs - main)]


def load_auxdistill_config(path: Path, **overrides: Any) -> AuxDistillConfig:
    """Read a YAML file; ``overrides`` replace its entries. Raises ConfigError.

    Where they name other ``auxiliaries``, the file's stages of tasks that are not taken have no task that trains them.
    """
    data = read_yaml(path, overrides)
    if "auxiliaries" in overrides and "stages" not in overrides and isinstance(data, dict):
        data["stages"] = [stage if stage in overrides["auxiliaries"] else "" for stage in data.get("stages", ())]
    return read_settings(AuxDistillConfig, data, str(path))
