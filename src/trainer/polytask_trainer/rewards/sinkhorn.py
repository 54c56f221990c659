"""Entropic optimal transport in torch: the trainer's only Sinkhorn (PolyTask Eqs. 3 and 4).

Solves ``min <mu, C> - epsilon H(mu)`` over couplings ``mu`` with uniform marginals, for a batch of cost matrices.
Three things make it exact and quick also at a small epsilon, where plain Sinkhorn needs thousands of iterations:

* the scalings are kept as potentials, and the plan is rebuilt from them at every level (nothing over- or underflows);
  within a level a sweep is two products with the plan, and needs neither exponentials nor logarithms,
* epsilon is annealed, each level starting from the potentials of the last,
* a few Sinkhorn sweeps per level are followed by Newton steps on the concave dual, which converge quadratically.

Newton's matrix has the size of one trajectory (about 100), so a step costs as much as some dozens of sweeps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_SMALLEST_EXPONENT = -600.0  # exp(-600) is 1e-261: kernel entries below are 0, so that no product becomes denormal
_SWEEPS = 20  # Sinkhorn sweeps at every level of epsilon, before Newton
_BETWEEN = 1e-2  # error of the marginals that is good enough for the next level to begin with
_LINE_SEARCH = 12  # halvings of a Newton step


@dataclass(frozen=True)
class Transport:
    """An entropic optimal transport plan.

    ``plan`` (B, T, T') sums to 1 per batch entry; ``error`` (B,) is the L1 error of its marginals;
    ``iterations`` counts sweeps and Newton steps.
    """

    plan: Tensor
    error: Tensor
    iterations: int


def sinkhorn(cost: Tensor, epsilon: float, *, tolerance: float = 1e-7, max_iterations: int = 500) -> Transport:
    """Return the entropic plan between uniform marginals 1/T and 1/T' (the lengths may differ).

    ``cost`` is (B, T, T') or (T, T'), finite; it is computed in float64. ``epsilon`` > 0 is in units of the cost.
    Raises ``ValueError`` for bad input and ``RuntimeError`` when the marginals are not within ``tolerance`` (L1)
    after ``max_iterations``.
    """
    if cost.ndim not in (2, 3) or cost.numel() == 0:
        raise ValueError(f"sinkhorn: the cost must be (B, T, T') or (T, T') and not empty, not {tuple(cost.shape)}")
    if not epsilon > 0.0:
        raise ValueError(f"sinkhorn: epsilon must be positive, not {epsilon}")
    if not bool(torch.isfinite(cost).all()):
        raise ValueError("sinkhorn: the cost has entries that are not finite")
    batched = cost if cost.ndim == 3 else cost.unsqueeze(0)
    result = _solve(batched.detach().to(torch.float64), epsilon, tolerance, max_iterations)
    return result if cost.ndim == 3 else Transport(result.plan[0], result.error[0], result.iterations)


def _solve(cost: Tensor, epsilon: float, tolerance: float, max_iterations: int) -> Transport:
    levels = _levels(float((cost.amax() - cost.amin()).item()), epsilon)
    f, g = _first_sweep(cost, levels[0])
    iterations = 1
    for level in levels:
        plan = _plan(cost, f, g, level)
        f, g, plan, error = _sweeps(f, g, plan, level, _SWEEPS)
        iterations += _SWEEPS
        while iterations < max_iterations and error > (tolerance if level == epsilon else _BETWEEN):
            f, g, plan = _newton(cost, f, g, plan, level)
            f, g, plan, error = _sweeps(f, g, plan, level, 1)
            iterations += 1
    if not error <= tolerance:
        raise RuntimeError(
            f"sinkhorn: marginals off by {error:.1e} after {iterations} iterations at epsilon {epsilon}; "
            "use a larger epsilon or scale the features down"
        )
    return Transport(plan, _error(plan), iterations)


def _levels(spread: float, epsilon: float) -> list[float]:
    """Epsilons from a quarter of the cost's spread down to the wanted one, each a quarter of the last."""
    levels = [epsilon]
    while levels[0] * 4.0 < spread / 4.0:
        levels.insert(0, levels[0] * 4.0)
    return levels


def _first_sweep(cost: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """One Sinkhorn iteration from nothing, on logarithms: columns, then rows, are scaled to their marginals."""
    rows, columns = cost.shape[1:]
    g = -epsilon * (torch.logsumexp(-cost / epsilon, dim=1, keepdim=True) + math.log(columns))
    f = -epsilon * (torch.logsumexp((g - cost) / epsilon, dim=2, keepdim=True) + math.log(rows))
    return f, g


def _sweeps(f: Tensor, g: Tensor, plan: Tensor, epsilon: float, count: int) -> tuple[Tensor, Tensor, Tensor, float]:
    """Sinkhorn iterations on the plan that the potentials f and g give: these and it afterwards, and its error.

    Of the last level's plan every row and column holds its share, and no entry of it is smaller than the fourth power
    of one that counts; so the sums here are far from 0, and logarithms are not needed.
    """
    batch, rows, columns = plan.shape
    u = plan.new_ones(batch, 1, rows)
    for _ in range(count):
        v = (1.0 / columns) / (u @ plan)
        u = (1.0 / rows) / (v @ plan.mT)
    plan = plan * u.mT * v
    error = float((plan.sum(1) - 1.0 / columns).abs().sum(1).amax())
    return f + epsilon * u.mT.log(), g + epsilon * v.log(), plan, error


def _plan(cost: Tensor, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
    exponent = (f + g - cost) / epsilon
    return torch.where(exponent > _SMALLEST_EXPONENT, exponent.clamp(_SMALLEST_EXPONENT, 600.0).exp(), 0.0)


def _error(plan: Tensor) -> Tensor:
    rows, columns = plan.shape[1:]
    return (plan.sum(2) - 1.0 / rows).abs().sum(1) + (plan.sum(1) - 1.0 / columns).abs().sum(1)


def _dual(plan: Tensor, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
    """The concave dual <f, a> + <g, b> - epsilon <plan, 1>, (B,)."""
    return f.mean(dim=(1, 2)) + g.mean(dim=(1, 2)) - epsilon * plan.sum(dim=(1, 2))


def _newton(cost: Tensor, f: Tensor, g: Tensor, plan: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """One damped Newton step on the dual; a sweep has to follow, which makes the step safe far from the optimum."""
    batch, rows, columns = plan.shape
    a, b = plan.sum(2), plan.sum(1)
    gradient_f, gradient_g = 1.0 / rows - a, 1.0 / columns - b
    # [[diag a, P], [P', diag b]] (df, dg) = epsilon (gradient_f, gradient_g), with dg eliminated (Schur complement).
    scaled = plan / b.unsqueeze(1).clamp_min(1e-300)
    schur = torch.diag_embed(a) - scaled @ plan.transpose(1, 2)
    # The dual does not change along f + c, g - c; 1/rows^2 on every entry removes that direction. The diagonal term
    # holds the step where the plan falls apart into unconnected blocks.
    eye = torch.eye(rows, dtype=plan.dtype, device=plan.device)
    schur = schur + 1.0 / rows**2 + (1e-9 / rows) * eye
    right = gradient_f.unsqueeze(2) - scaled @ gradient_g.unsqueeze(2)
    step_f = epsilon * torch.linalg.solve(schur, right)
    step_g = (epsilon * gradient_g.unsqueeze(1) - step_f.transpose(1, 2) @ plan) / b.unsqueeze(1).clamp_min(1e-300)
    before = _dual(plan, f, g, epsilon)
    size = torch.ones(batch, 1, 1, dtype=plan.dtype, device=plan.device)
    for _ in range(_LINE_SEARCH):
        new_f, new_g = f + size * step_f, g + size * step_g
        plan = _plan(cost, new_f, new_g, epsilon)
        better = _dual(plan, new_f, new_g, epsilon) >= before - 1e-15
        if bool(better.all()):
            return new_f, new_g, plan
        size = torch.where(better.view(-1, 1, 1), size, 0.5 * size)
    size = torch.where(better.view(-1, 1, 1), size, 0.0)
    f, g = f + size * step_f, g + size * step_g
    return f, g, _plan(cost, f, g, epsilon)
