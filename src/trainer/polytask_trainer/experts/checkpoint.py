"""The resumable state of an expert's training: everything that the next episode depends on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from polytask_policy.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from polytask_trainer.agents.ddpg import DDPG
from polytask_trainer.common.errors import other_training
from polytask_trainer.common.optimizer_state import load_moments, moments, under
from polytask_trainer.common.progress import Counters
from polytask_trainer.experts.config import LearnConfig
from polytask_trainer.replay.pixels import PixelReplay
from polytask_trainer.replay.states import Replay
from polytask_trainer.rewards.matching import MatchingReward

KIND = "expert-training"
_OPTIMIZERS = ("actor_optimizer", "critic_optimizer")


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
