"""Settings of learning an expert, read from YAML into documented dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from polytask_trainer.agents.bc import CloningConfig
from polytask_trainer.agents.ddpg import AgentConfig
from polytask_trainer.agents.pixel_config import PictureConfig
from polytask_trainer.common.settings import read_settings, read_yaml
from polytask_trainer.rewards.matching import MatchingConfig


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

    def noise(self, episode: int) -> float:
        """Standard deviation of the exploration in the training episode of that number."""
        return self.seed_noise if episode < self.seed_episodes else self.agent.noise

    def updates_after(self, episodes: int, steps: int) -> int:
        """Gradient updates to be made when that many episodes are run, the last of so many steps."""
        if episodes < self.seed_episodes:
            return 0
        return self.critic_updates if episodes == self.seed_episodes else round(self.updates_per_step * steps)


def load_learn_config(path: Path | str, **overrides: Any) -> LearnConfig:
    """Read a YAML file into a LearnConfig; ``overrides`` replace top-level entries. Raises ConfigError."""
    return learn_config(read_yaml(path, overrides), str(path))


def learn_config(data: Any, where: str = "settings") -> LearnConfig:
    """Build a LearnConfig from nested mappings (what ``dataclasses.asdict`` gives). Raises ConfigError."""
    return read_settings(LearnConfig, data, where)
