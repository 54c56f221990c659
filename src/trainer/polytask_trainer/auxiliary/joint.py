"""One gradient from an agent's own loss and the auxiliary ones."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call

from polytask_policy.pixel_networks import PixelEncoder
from polytask_trainer.auxiliary.config import AuxiliaryConfig
from polytask_trainer.auxiliary.flow import optical_flow
from polytask_trainer.auxiliary.losses import Losses, Passed, egomotion
from polytask_trainer.auxiliary.weights import Weights

EPSILON = 1e-8
"""Keeps the log finite."""


class Auxiliary(nn.Module):
    """Auxiliary losses of one agent and their weights; all that it learns is in its parameters and buffers."""

    def __init__(self, feature: int, actions: int, config: AuxiliaryConfig, generator: torch.Generator) -> None:
        """``feature`` is the width of the encoder's output, ``actions`` that of an action."""
        super().__init__()
        self.config, self._generator = config, generator
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator.initial_seed())
            self.losses = Losses(feature, actions, config)
        self.weights = Weights(len(config.losses), config)

    def backward(
        self, main: Tensor, encoder: PixelEncoder, before: Tensor, after: Tensor, actions: Tensor
    ) -> dict[str, Tensor]:
        """Leave the gradients of the combined loss (Eq. 1) in ``.grad``, empty before; returns what is to be logged.

        ``main`` is the agent's loss, whose graph has the encoder in it; ``before`` and ``after`` are stacked frames
        uint8 (B, 3 stack, S, S) a step apart, with the actions (B, k) between. Each loss is inside a log, so that their
        gradients are balanced; not with ``fixed`` weights.

        The products of the gradients with respect to the encoder are taken where they are cheap: with g the main one, J
        the Jacobian of the features z, and v_i = dL_i/dz, the product is g . J^T v_i = (J g) . v_i. One pass in forward
        mode gives J g, however many losses there are. Their own networks learn with weight 1: they are not shared, and
        a loss of weight 0 must be able to come back.
        """
        (main if self.config.combine == "fixed" else (main + EPSILON).log()).backward()
        shared = dict(encoder.named_parameters())
        passed = self._passed(before, after, actions)
        pictures = passed.pictures()
        features = encoder.features(pictures)
        ends = features.detach().requires_grad_()
        found = self.losses(ends, passed)
        scaled = {n: loss if self.config.combine == "fixed" else (loss + EPSILON).log() for n, loss in found.items()}
        gradients = []
        for name, loss in scaled.items():
            own = list(self.losses.heads[name].parameters())
            gradient, *others = torch.autograd.grad(loss, [ends, *own])
            gradients.append(gradient)
            for parameter, value in zip(own, others, strict=True):
                parameter.grad = value
        if self.config.combine in ("fixed", "balance"):
            products = torch.zeros(len(gradients), device=main.device)
        else:
            change = _directional(encoder, shared, pictures)
            products = torch.stack([(change * gradient).sum() for gradient in gradients])
        w = self.weights(products)
        features.backward(torch.einsum("i,inf->nf", w, torch.stack(gradients)))
        log = {f"{name}_loss": loss.detach() for name, loss in found.items()}
        return log | {f"{name}_weight": weight for name, weight in zip(found, w, strict=True)}

    def _passed(self, before: Tensor, after: Tensor, actions: Tensor) -> Passed:
        flow = torch.from_numpy(optical_flow(before[:, -3:].cpu().numpy(), after[:, -3:].cpu().numpy()))
        motion = 2.0 * torch.rand(len(before), 3, generator=self._generator, device=self._generator.device) - 1.0
        first, second = (pictures.float() / 255.0 - 0.5 for pictures in (before, after))
        return Passed(first, second, actions, egomotion(first, motion), motion, flow.to(before.device))


class _Features(nn.Module):
    """The encoder's features of centred pictures as the call of a module."""

    def __init__(self, encoder: PixelEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pictures: Tensor) -> Tensor:
        return self.encoder.features(pictures)


@torch.no_grad()
def _directional(encoder: PixelEncoder, shared: Mapping[str, Tensor], pictures: Tensor) -> Tensor:
    """Derivative of the features (B, F) when the encoder's parameters move along their ``.grad``."""
    with forward_ad.dual_level():
        duals = {f"encoder.{n}": forward_ad.make_dual(p, p.grad) for n, p in shared.items() if p.grad is not None}
        change: Tensor = forward_ad.unpack_dual(functional_call(_Features(encoder), duals, (pictures,))).tangent
    return change
