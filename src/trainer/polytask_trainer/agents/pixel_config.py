"""Settings of a policy that sees; a ``pictures`` section in a settings file is what makes one."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from polytask_trainer.auxiliary.config import AuxiliaryConfig
from polytask_trainer.common.device import Device, torch_device


@dataclass(frozen=True)
class PictureConfig:
    """What a pixel policy sees, and how it is learned; comments give the paper's value where this one differs."""

    size: int = 48
    """Pixels on either side of a frame (paper: 84)."""
    stack: int = 3
    """Frames seen at once."""
    feature: int = 64
    """Width of the encoder's output (paper's code: 512)."""
    strides: tuple[int, ...] = (2, 1, 1, 1)
    """Of the encoder's convolutions."""
    camera: str = ""
    """Name in the embodiment; empty: its first."""
    state: tuple[str, ...] = ()
    """Entries of the state that the policy takes beside the pictures: what a robot measures of itself (paper: none)."""
    state_noise: float = 0.1
    """Standard deviation of the noise on these while cloning, in the normaliser's units (0.1 of which is 1 cm)."""
    target_every: int = 10000
    """Agent steps after which the target encoder, on whose features episodes are matched, is refreshed."""
    capacity: int = 0
    """Agent steps kept for replay at least; 0: all."""
    actors: int = 1
    """Processes that run episodes."""
    device: Device = "auto"
    """Where the learner computes; ``auto``: on a GPU where there is one."""
    bf16: bool = False
    """The encoder in bfloat16 (its weights, and all else, in float32) where the processor has instructions for it, as
    GPUs and recent servers' CPUs do: down to a third of the time."""
    compiled: bool = False
    """Encoder and critics through torch.compile; on a GPU each update as one CUDA graph (not with ``auxiliary``)."""
    auxiliary: AuxiliaryConfig | None = None
    """Losses that train the encoder beside the critics'; without it, none."""

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("size", "stack", "feature", "actors", "target_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"pictures.{name} must be positive, not {getattr(self, name)}")
        if not self.strides or any(stride < 1 for stride in self.strides):
            raise ValueError(f"pictures.strides must be positive, not {self.strides}")
        for name in ("capacity", "state_noise"):
            if getattr(self, name) < 0:
                raise ValueError(f"pictures.{name} must not be negative, not {getattr(self, name)}")

    def torch_device(self) -> torch.device:
        """The device to learn on. Raises ValueError where there is none."""
        return torch_device(self.device)
