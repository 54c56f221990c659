"""Weights of the auxiliary losses: fixed, balanced, by cosine similarity, or learned online (OL-AUX).

**The sign of OL-AUX.** Parameters descend L = L_main + sum_i w_i L_i (Eq. 1): theta' = theta - a grad L. To first order
in the step size a

    V(w) = L_main(theta') - L_main(theta) = -a grad L_main . (grad L_main + sum_i w_i grad L_i)
    dV/dw_i = -a grad L_main . grad L_i

and V, the change of the main loss, is to become small, so w descends it: w_i <- w_i + a b grad L_main . grad L_i. The
weight of a loss whose gradient points as the main one's *grows*. The paper derives dV/dw_i without the minus, from
theta' = theta + a grad L (Eqs. 2 to 4, 7), and then descends both theta and w (Algorithm 1), which together would let
the weight of a harmful loss grow.

Over N steps, with what w does to the gradients of later steps left out (Eqs. 5 to 7), dV/dw_i is the sum of the N
products. Where losses are inside a log, so is L_main here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from polytask_trainer.auxiliary.config import AuxiliaryConfig


class Weights(nn.Module):
    """The weights w float32 (K,), from the products of the main gradient with each auxiliary one at every update.

    - ``fixed``: as configured; losses are not inside a log.
    - ``balance``: all 1; gradients are balanced by the log alone.
    - ``cosine``: 1 where the gradients' cosine, so their product, is not negative, else 0 (Du et al. 2018).
    - ``ol_aux``: from 1 on, a step every ``horizon`` updates (Algorithm 1).
    """

    w: Tensor
    total: Tensor
    updates: Tensor

    def __init__(self, count: int, config: AuxiliaryConfig, lowest: float = 0.0) -> None:
        """``count`` is K. OL-AUX keeps weights from falling below ``lowest``.

        The paper says nothing of that; but a weight below zero lets the encoder make a loss worse without bound.
        """
        super().__init__()
        self.config, self.lowest = config, lowest
        self.register_buffer("w", torch.tensor(config.weights) if config.weights else torch.ones(count))
        self.register_buffer("total", torch.zeros(count))
        self.register_buffer("updates", torch.tensor(0))

    @torch.no_grad()
    def forward(self, products: Tensor) -> Tensor:
        """Return w for this update, from products (K,) of gradients, and learn from them for the next one."""
        if self.config.combine == "cosine":
            self.w.copy_(products >= 0.0)
        used = self.w.clone()
        if self.config.combine == "ol_aux":
            self.total += products
            self.updates += 1
            if self.updates % self.config.horizon == 0:
                self.w.add_(self.config.rate * self.total).clamp_(min=self.lowest)  # Eq. 7, the sign as above
                self.total.zero_()
        return used
