"""Settings of auxiliary losses; an ``auxiliary`` section in the settings of pictures is what adds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LOSSES = ("forward_dynamics", "inverse_dynamics", "egomotion", "autoencoder", "optical_flow")
Combination = Literal["fixed", "balance", "cosine", "ol_aux"]


@dataclass(frozen=True)
class AuxiliaryConfig:
    """Which losses train the encoder beside the agent's own, and how they are combined with it."""

    losses: tuple[str, ...] = LOSSES
    """Table 1 of the paper."""
    combine: Combination = "ol_aux"
    """See :class:`polytask_trainer.auxiliary.weights.Weights`."""
    weights: tuple[float, ...] = ()
    """Of ``fixed``, in the order of the losses; empty: all 1."""
    horizon: int = 5
    """N of OL-AUX: updates of the agent for one of the weights."""
    rate: float = 0.001
    """alpha beta of OL-AUX: step size of the weights (the paper does not give it)."""
    hidden: int = 128
    """Width of the hidden layer of each loss's own network."""

    def __post_init__(self) -> None:
        """Check the values."""
        if not self.losses or set(self.losses) - set(LOSSES) or len(set(self.losses)) < len(self.losses):
            raise ValueError(f"auxiliary.losses must be some of {', '.join(LOSSES)}, not {self.losses}")
        if self.weights and len(self.weights) != len(self.losses):
            raise ValueError(f"auxiliary.weights must be as many as the losses, {len(self.losses)}, not {self.weights}")
        if self.weights and self.combine != "fixed":
            raise ValueError(f"auxiliary.weights are of combine: fixed; with {self.combine} they follow by themselves")
        for name in ("horizon", "hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"auxiliary.{name} must be positive, not {getattr(self, name)}")
        if not self.rate >= 0.0:
            raise ValueError(f"auxiliary.rate must not be negative, not {self.rate}")
