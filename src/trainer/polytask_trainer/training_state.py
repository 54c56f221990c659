"""The resumable state of an expert's training: everything that the next episode depends on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polytask_policy.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from polytask_trainer.agents.ddpg import DDPG
from polytask_trainer.config import LearnConfig
from polytask_trainer.pixel_replay import PixelReplay
from polytask_trainer.replay import Replay
from polytask_trainer.rewards.matching import MatchingReward

KIND = "expert-training"
_OPTIMIZERS = ("actor_optimizer", "critic_optimizer")


class ResumeError(Exception):
    """The folder holds the training of something else; says what differs and what to do."""


@dataclasses.dataclass
class Counters:
    """How far and how well a training is; ``seconds`` is its time over all of its sittings."""

    step: int = 0
    episode: int = 0
    updates: int = 0
    seconds: float = 0.0
    recent: list[float] = dataclasses.field(default_factory=list)
    """Sums of rewards of the last episodes."""
    best: float | None = None
    """The highest mean of these so far."""
    owed: int = 0
    """Updates that the last episode still has to get; its steps, sum of rewards and success follow."""
    length: int = 0
    reward: float = 0.0
    success: bool = False

    def before_last(self) -> Counters:
        """As they were before the last episode, but for the time."""
        return dataclasses.replace(self, step=self.step - self.length, episode=self.episode - 1)


def fingerprint(config: LearnConfig, task: str, arrays: Sequence[np.ndarray[Any, Any]]) -> str:
    """Identify a training: its settings, task and demonstrations."""
    settings = dataclasses.asdict(config)
    del settings["checkpoint_seconds"]  # has no say in the result
    digest = hashlib.sha256(json.dumps([settings, task], sort_keys=True).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def save_training(
    folder: Path,
    agent: DDPG,
    replay: Replay | PixelReplay,
    reward: MatchingReward[Any] | None,
    counters: Counters,
    identity: str,
) -> None:
    """Write the state as one checkpoint, replacing the last."""
    tensors: dict[str, Tensor] = {"generator": agent.generator.get_state()}
    for name in agent.networks:
        tensors |= {f"{name}.{key}": value for key, value in getattr(agent, name).state_dict().items()}
    for name in _OPTIMIZERS:
        tensors |= {f"{name}.{key}": value for key, value in moments(getattr(agent, name)).items()}
    tensors |= {f"replay.{key}": value for key, value in replay.to_tensors().items()}
    scale = reward.scale if reward is not None else None
    meta = {"kind": KIND, "identity": identity, "reward_scale": scale, **dataclasses.asdict(counters)}
    save_checkpoint(folder, tensors, meta)


def load_training(
    folder: Path, agent: DDPG, replay: Replay | PixelReplay, reward: MatchingReward[Any] | None, identity: str
) -> Counters | None:
    """Restore everything in place and return the counters; None where nothing was saved. Raises ResumeError."""
    if not has_checkpoint(folder):
        return None
    tensors, meta = load_checkpoint(folder, KIND)
    if meta["identity"] != identity:
        raise other_training(folder)
    for name in agent.networks:
        getattr(agent, name).load_state_dict(under(tensors, name))
    for name in _OPTIMIZERS:
        load_moments(getattr(agent, name), under(tensors, name))
    replay.from_tensors(under(tensors, "replay"))
    if reward is not None:
        reward.scale = meta["reward_scale"]
    # A state of an earlier version says nothing of updates that are owed: it was written between episodes.
    known = {field.name: meta[field.name] for field in dataclasses.fields(Counters) if field.name in meta}
    counters = Counters(**known)
    if len(tensors["generator"]) == len(agent.generator.get_state()):
        agent.generator.set_state(tensors["generator"])
    else:  # a GPU's, and there is none here, or the other way round
        agent.generator.manual_seed(agent.generator.initial_seed() + counters.updates)
    return counters


def other_training(folder: Path) -> ResumeError:
    """Say that a folder is taken."""
    return ResumeError(
        f"{folder} holds a training with other settings or demonstrations: choose another output folder, or "
        "delete this one to start afresh"
    )


def moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What an optimiser remembers of each parameter, under "number.entry"."""
    state = optimizer.state_dict()["state"]
    return {f"{number}.{key}": value for number, entries in state.items() for key, value in entries.items()}


def load_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what :func:`moments` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, key = name.split(".")
        state.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with "prefix.", by the rest of their names."""
    start = len(prefix) + 1
    return {key[start:]: value for key, value in tensors.items() if key.startswith(f"{prefix}.")}
