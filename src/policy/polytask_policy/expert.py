"""An expert: the policy of one task, as learned in the first phase."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from polytask_policy.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from polytask_policy.entries import (
    LARGEST_LAYER,
    MOST_ENTRIES,
    MOST_LAYERS,
    Entries,
    brief,
    encoder_sizes,
    require_weights,
)
from polytask_policy.networks import Actor
from polytask_policy.pixel_networks import PixelActor
from polytask_policy.policy_spec import PolicySpec

KIND = "expert"


class ExpertPolicy:
    """One task's policy, deterministic: the mean action of its actor."""

    def __init__(self, actor: Actor | PixelActor, description: PolicySpec) -> None:
        if len(description.tasks) != 1:
            raise ValueError(f"an expert has exactly one task, not {list(description.tasks)}")
        if (actor.state_size, actor.action_size) != (len(description.state_names), len(description.action_names)):
            raise ValueError(
                f"the actor is {actor.state_size} -> {actor.action_size}, the description names "
                f"{len(description.state_names)} state and {len(description.action_names)} action entries"
            )
        if (actor.pictures if isinstance(actor, PixelActor) else None) != description.pictures:
            raise ValueError(f"the actor does not take the pictures that the description names: {description.pictures}")
        self.actor = actor.eval()
        self.description = description

    @property
    def task(self) -> str:
        """Name of the expert's task."""
        return self.description.tasks[0]

    def save(self, folder: Path | str, **extra: Any) -> None:
        """Write the checkpoint to ``folder``; ``extra`` are further JSON-able entries (steps, seed, success...)."""
        network: dict[str, Any] = {
            "state_size": self.actor.state_size,
            "action_size": self.actor.action_size,
            "hidden": list(self.actor.hidden),
        }
        if isinstance(self.actor, PixelActor):
            network |= {"feature": self.actor.encoder.feature, "strides": list(self.actor.encoder.strides)}
        meta = {"kind": KIND, "network": network, **self.description.to_meta(), **extra}
        save_checkpoint(folder, self.actor.state_dict(), meta)

    @classmethod
    def load(cls, folder: Path | str) -> ExpertPolicy:
        """Read an expert from its run folder; raises CheckpointError naming what is wrong."""
        tensors, meta = load_checkpoint(folder, KIND)
        description = PolicySpec.from_meta(meta)
        require_weights(tensors, f"the expert in {folder}")
        network, pictures = Entries(meta).part("network"), description.pictures
        sizes = (
            network.count("state_size", MOST_ENTRIES, least=0),
            network.count("action_size", MOST_ENTRIES),
            network.counts("hidden", LARGEST_LAYER, MOST_LAYERS),
        )
        encoder = encoder_sizes(network) if pictures is not None else None
        try:
            # Without memory: what would be drawn at random is replaced at once, and sizes may be anything.
            with torch.device("meta"):
                actor: Actor | PixelActor
                if pictures is not None and encoder is not None:
                    actor = PixelActor(pictures, *sizes, *encoder)
                else:
                    actor = Actor(*sizes)
            actor.load_state_dict(tensors, assign=True)
            return cls(actor, description)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"the expert in {folder} does not fit its own description: {brief(error)}") from None

    def act(self, state: NDArray[np.float32], pictures: NDArray[np.uint8] | None = None) -> NDArray[np.float32]:
        """Return the action float32 (k,) or (B, k), in [-1, 1], for a state float32 (n,) or states (B, n).

        ``pictures`` are the stacked frames uint8 (3 stack, size, size) or (B, ...) of a policy that takes them; a
        :class:`~polytask_policy.view.View` gives both.
        """
        inputs = [torch.from_numpy(np.asarray(state, dtype=np.float32))]
        if self.description.pictures is not None:
            if pictures is None:
                raise ValueError(f"the expert of '{self.task}' needs pictures")
            inputs.append(torch.from_numpy(pictures))
        with torch.inference_mode():
            action: NDArray[np.float32] = self.actor(*inputs).numpy()
        return action
