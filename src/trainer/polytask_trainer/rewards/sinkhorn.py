"""Entropic optimal transport in torch: the trainer's only Sinkhorn (PolyTask Eqs. 3 and 4).

Solves ``min <mu, C> - epsilon H(mu)`` over couplings ``mu`` with uniform marginals, for a batch of cost matrices.
Three things make it exact and quick also at a small epsilon, where plain Sinkhorn needs thousands of iterations:

* the scalings are kept as potentials and the kernel is rebuilt from them (nothing over- or underflows),
* epsilon is annealed, each level starting from the potentials of the last,
* a few Sinkhorn sweeps per level are followed by Newton steps on the concave dual, which converge quadratically.

Newton's matrix has the size of one trajectory (about 100), so a step costs about as much as ten sweeps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_SMALLEST_EXPONENT = -600.0  # exp(-600) is 1e-261: kernel entries below are 0, so that no product becomes denormal
_SWEEPS = 10  # Sinkhorn sweeps at every level of epsilon, before Newton
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
    batch, rows, columns = cost.shape
    f, g = cost.new_zeros(batch, rows, 1), cost.new_zeros(batch, 1, columns)
    iterations = 0
    for level in _levels(float((cost.amax() - cost.amin()).item()), epsilon):
        final = level == epsilon
        for _ in range(_SWEEPS):
            f, g = _sweep(cost, f, g, level)
        iterations += _SWEEPS
        plan = _plan(cost, f, g, level)
        while iterations < max_iterations:
            if float(_error(plan).max()) <= (tolerance if final else 1e-2):
                break
            f, g, plan = _newton(cost, f, g, plan, level)
            iterations += 1
    error = _error(plan)
    if float(error.max()) > tolerance:
        raise RuntimeError(
            f"sinkhorn: marginals off by {float(error.max()):.1e} after {iterations} iterations at epsilon {epsilon}; "
            "use a larger epsilon or scale the features down"
        )
    return Transport(plan, error, iterations)


def _levels(spread: float, epsilon: float) -> list[float]:
    """Epsilons from a quarter of the cost's spread down to the wanted one, each a quarter of the last."""
    levels = [epsilon]
    while levels[0] * 4.0 < spread / 4.0:
        levels.insert(0, levels[0] * 4.0)
    return levels


def _sweep(cost: Tensor, f: Tensor, g: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """One Sinkhorn iteration in the log domain: columns, then rows, are scaled to their marginals."""
    rows, columns = cost.shape[1:]
    g = -epsilon * (torch.logsumexp((f - cost) / epsilon, dim=1, keepdim=True) + _log(columns, cost))
    f = -epsilon * (torch.logsumexp((g - cost) / epsilon, dim=2, keepdim=True) + _log(rows, cost))
    return f, g


def _log(count: int, like: Tensor) -> Tensor:
    return torch.log(like.new_tensor(float(count)))


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
    """One damped Newton step on the dual, then a sweep (which makes the step safe far from the optimum)."""
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
        trial = _plan(cost, f + size * step_f, g + size * step_g, epsilon)
        better = _dual(trial, f + size * step_f, g + size * step_g, epsilon) >= before - 1e-15
        if bool(better.all()):
            break
        size = torch.where(better.view(-1, 1, 1), size, 0.5 * size)
    else:
        size = torch.where(better.view(-1, 1, 1), size, 0.0)
    f, g = _sweep(cost, f + size * step_f, g + size * step_g, epsilon)
    return f, g, _plan(cost, f, g, epsilon)
