"""Settings, progress and outcome of a distillation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from polytask_trainer.common.device import Device


@dataclass(frozen=True)
class DistillConfig:
    """Settings of the distillation.

    Attributes:
        steps: gradient steps in all.
        batch: samples per step.
        pictures: goal pictures per step, shared by the batch's samples of that kind.
        learning_rate: of AdamW at the start; falls to 0 as a cosine.
        weight_decay: of AdamW.
        hidden: layers of the student's trunk.
        alignment: weight of the loss that draws sentences and pictures to their task's embedding, beside Eq. 2.
        sentence_noise: length of the random vector added to a sentence's unit vector, so that paraphrases work.
        picture_shift: largest random shift of a goal picture, in pixels of 42.
        storage: replay samples that the policy's memory keeps, of all tasks together, for learning more later; 0: all.
        seed: of weights and samples; the same seed gives the same policy.
        device: where it is computed: auto (on a GPU where there is one), cpu or cuda.
        save_every: steps between resumable checkpoints.
        report_every: steps between progress reports.

    """

    steps: int = 4000
    batch: int = 256
    pictures: int = 20
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    hidden: tuple[int, ...] = (256, 256)
    alignment: float = 0.05
    sentence_noise: float = 0.6
    picture_shift: int = 3
    storage: int = 0
    seed: int = 0
    device: Device = "auto"
    save_every: int = 500
    report_every: int = 50

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("steps", "batch", "pictures", "learning_rate", "save_every", "report_every"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        for name in ("weight_decay", "alignment", "sentence_noise", "picture_shift", "storage", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, it is {getattr(self, name)}")

    def fingerprint_fields(self) -> dict[str, Any]:
        """Return the settings that affect the result: all but `device`, so a distillation may resume on another."""
        settings = asdict(self)
        del settings["device"]
        return settings


@dataclass(frozen=True)
class DistillProgress:
    """How far a distillation is; ``loss`` is Eq. 2 averaged since the last report, ``elapsed`` s since the call."""

    step: int
    steps: int
    loss: float
    elapsed: float


@dataclass(frozen=True)
class DistillResult:
    """Outcome: ``finished`` is False when it was stopped, and the same call carries on from there."""

    finished: bool
    steps: int
    loss: float
