"""Files of an AuxDistill training: the resumable state, a log with a line for each update, and the policy."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from polytask_policy.checkpoint import CheckpointError, has_checkpoint, load_checkpoint, save_checkpoint
from polytask_trainer.auxdistill.config import AuxDistillConfig
from polytask_trainer.auxdistill.network import RecurrentPolicy
from polytask_trainer.auxdistill.relevance import Relevance
from polytask_trainer.auxdistill.rollout import Player
from polytask_trainer.common.errors import ResumeError
from polytask_trainer.common.optimizer_state import load_moments, moments, under
from polytask_trainer.common.progress import TasksLog

KIND = "recurrent-policy"
TRAINING = "auxdistill-training"


class Training:
    """The state between two updates, when no episode is in progress."""

    def __init__(
        self,
        folder: Path,
        config: AuxDistillConfig,
        policy: RecurrentPolicy,
        optimizer: torch.optim.Optimizer,
        relevance: Relevance | None,
        generator: torch.Generator,
    ) -> None:
        self._folder, self._generator = folder, generator
        self._identity = json.loads(json.dumps(dataclasses.asdict(config)))
        self._modules: dict[str, nn.Module] = {"policy": policy}
        self._optimizers: dict[str, torch.optim.Optimizer] = {"optimizer": optimizer}
        if isinstance(relevance, nn.Module):
            self._modules["relevance"] = relevance
        if isinstance(own := getattr(relevance, "optimizer", None), torch.optim.Optimizer):
            self._optimizers["relevance_optimizer"] = own

    def save(self, update: int) -> None:
        """Replace the last state."""
        tensors: dict[str, Tensor] = {"generator": self._generator.get_state()}
        for name, module in self._modules.items():
            tensors |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
        for name, optimizer in self._optimizers.items():
            tensors |= {f"{name}.{key}": value for key, value in moments(optimizer).items()}
        save_checkpoint(self._folder, tensors, {"kind": TRAINING, "config": self._identity, "update": update})

    def load(self) -> int | None:
        """Restore everything in place; gives the update that comes next, None at the start. Raises ResumeError."""
        if not has_checkpoint(self._folder):
            return None
        tensors, meta = load_checkpoint(self._folder, TRAINING)
        if meta["config"] != self._identity:
            raise ResumeError(
                f"{self._folder} holds a training with other settings: choose another output folder, or delete this one"
            )
        for name, module in self._modules.items():
            module.load_state_dict(under(tensors, name))
        for name, optimizer in self._optimizers.items():
            load_moments(optimizer, under(tensors, name))
        self._generator.set_state(tensors["generator"])
        return int(meta["update"])


class Log:
    """What ended in each update, and how it went on, for people, experiments and the caller's callback."""

    def __init__(
        self,
        folder: Path,
        first: int,
        config: AuxDistillConfig,
        on_progress: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        self._tasks, self._steps = config.tasks, config.num_envs * config.sequence
        steps = (first * self._steps, config.updates * self._steps)
        self._log = TasksLog(folder, "auxdistill", steps, (config.main,), on_progress)

    def update(self, update: int, player: Player, measured: Mapping[str, float]) -> None:
        """Write down what ended since the last update."""
        episodes, player.episodes = player.episodes, []
        ended = {}
        for number, name in enumerate(self._tasks):
            own = [(success, total) for task, success, total in episodes if task == number]
            if own:
                ended[name] = (len(own), sum(success for success, _ in own), sum(total for _, total in own))
        self._log.update(update * self._steps, ended, measured)

    def close(self) -> None:
        """Close the files."""
        self._log.close()


def save_policy(folder: Path, policy: RecurrentPolicy, config: AuxDistillConfig) -> None:
    """Write the learned policy of all tasks."""
    meta = {"kind": KIND, "network": policy.sizes, "tasks": list(config.tasks)}
    save_checkpoint(folder, policy.state_dict(), meta)


def load_policy(folder: Path | str) -> tuple[RecurrentPolicy, tuple[str, ...]]:
    """Read a policy and its tasks by number. Raises CheckpointError."""
    tensors, meta = load_checkpoint(folder, KIND)
    try:
        policy = RecurrentPolicy(**meta["network"])
        policy.load_state_dict(tensors)
        return policy, tuple(meta["tasks"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"the policy in {folder} does not fit its own description: {error}") from None
