"""The resumable state of an expert's training: everything that the next episode depends on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from polytask_policy.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from polytask_trainer.common.errors import other_training
from polytask_trainer.common.optimizer_state import under
from polytask_trainer.common.progress import Counters
from polytask_trainer.experts.config import LearnConfig
from polytask_trainer.experts.parts import Checkpointed, Reward

KIND = "expert-training"


def fingerprint(config: LearnConfig, task: str, arrays: Sequence[np.ndarray[Any, Any]]) -> str:
    """Identify a training: its settings, task and demonstrations."""
    settings = dataclasses.asdict(config)
    del settings["checkpoint_seconds"]  # has no say in the result
    digest = hashlib.sha256(json.dumps([settings, task], sort_keys=True).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class CheckpointedAgent(Checkpointed, Protocol):
    """An agent whose state can be kept."""

    @property
    def generator(self) -> torch.Generator:
        """Where all its random numbers come from."""
        ...


def save_training(
    folder: Path,
    agent: CheckpointedAgent,
    replay: Checkpointed,
    reward: Reward | None,
    counters: Counters,
    identity: str,
) -> None:
    """Write the state as one checkpoint, replacing the last."""
    tensors: dict[str, Tensor] = {"generator": agent.generator.get_state(), **agent.to_tensors()}
    tensors |= {f"replay.{key}": value for key, value in replay.to_tensors().items()}
    scale = reward.scale if reward is not None else None
    meta = {"kind": KIND, "identity": identity, "reward_scale": scale, **dataclasses.asdict(counters)}
    save_checkpoint(folder, tensors, meta)


def load_training(
    folder: Path, agent: CheckpointedAgent, replay: Checkpointed, reward: Reward | None, identity: str
) -> Counters | None:
    """Restore everything in place and return the counters; None where nothing was saved. Raises ResumeError."""
    if not has_checkpoint(folder):
        return None
    tensors, meta = load_checkpoint(folder, KIND)
    if meta["identity"] != identity:
        raise other_training(folder)
    agent.from_tensors(tensors)
    replay.from_tensors(under(tensors, "replay"))
    if reward is not None:
        reward.restore(meta["reward_scale"])
    # Earlier versions called the pending updates "owed", and before that wrote the state between episodes only.
    meta.setdefault("pending_updates", meta.get("owed", 0))
    known = {field.name: meta[field.name] for field in dataclasses.fields(Counters) if field.name in meta}
    counters = Counters(**known)
    if len(tensors["generator"]) == len(agent.generator.get_state()):
        agent.generator.set_state(tensors["generator"])
    else:  # a GPU's, and there is none here, or the other way round
        agent.generator.manual_seed(agent.generator.initial_seed() + counters.updates)
    return counters
