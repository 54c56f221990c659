import time
from pathlib import Path

import numpy as np
import ot
import pytest
import torch

from polytask_trainer.rewards.sinkhorn import sinkhorn

COSTS = Path(__file__).parent / "data" / "ot_costs.npz"  # written by make_ot_costs.py


def random_costs(batch: int, rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    own = torch.rand(batch, rows, 3, dtype=torch.float64, generator=generator)
    return torch.cdist(own, torch.rand(batch, columns, 3, dtype=torch.float64, generator=generator))


@pytest.mark.parametrize("epsilon", [0.1, 0.05, 0.02, 0.01, 0.005])
@pytest.mark.parametrize("task", ["drawer-open", "peg-green"])
def test_rewards_on_real_costs_are_those_of_the_converged_plan(task: str, epsilon: float) -> None:
    """Against POT's dual solver (L-BFGS); POT's own Sinkhorn has not converged here after millions of iterations."""
    with np.load(COSTS) as data:
        cost = data[task]
    a, b = (np.full(n, 1 / n) for n in cost.shape)
    converged = ot.smooth.smooth_ot_dual(a, b, cost, epsilon, reg_type="kl", numItermax=200_000, stopThr=1e-15)
    assert np.abs(converged.sum(1) - a).sum() + np.abs(converged.sum(0) - b).sum() < 1e-5
    plan = sinkhorn(torch.from_numpy(cost), epsilon).plan.numpy()
    assert np.abs(len(cost) * ((plan - converged) * cost).sum(1)).max() < 1e-4


@pytest.mark.parametrize("task", ["drawer-open", "peg-green"])
def test_some_dozen_iterations_reach_machine_precision(task: str) -> None:
    with np.load(COSTS) as data:
        result = sinkhorn(torch.from_numpy(data[task]), 0.01, tolerance=1e-12)
    assert result.iterations < 100
    assert float(result.error) < 1e-12


@pytest.mark.parametrize(("rows", "columns"), [(15, 15), (20, 12)])
def test_agrees_with_pot(rows: int, columns: int) -> None:
    costs = random_costs(3, rows, columns)
    plans = sinkhorn(costs, 0.05).plan
    for cost, plan in zip(costs, plans, strict=True):
        a, b = np.full(rows, 1 / rows), np.full(columns, 1 / columns)
        expected = ot.sinkhorn(a, b, cost.numpy(), 0.05, method="sinkhorn_log", numItermax=100_000, stopThr=1e-12)
        assert np.abs(plan.numpy() - expected).max() < 1e-7


def test_tiny_epsilon_gives_the_exact_assignment() -> None:
    cost = random_costs(1, 40, 40)[0]
    plan = sinkhorn(cost, 1e-3).plan
    exact = ot.emd2(np.full(40, 1 / 40), np.full(40, 1 / 40), cost.numpy())
    assert float((plan * cost).sum()) == pytest.approx(exact, abs=1e-3)


def test_small_epsilon_is_not_slow() -> None:
    """Denormal numbers would make it tens of times slower than a large epsilon, which does less than half the work."""

    def seconds(epsilon: float) -> float:
        costs = 10.0 * random_costs(4, 60, 60)
        best = np.inf
        for _ in range(3):
            started = time.process_time()
            sinkhorn(costs, epsilon)
            best = min(best, time.process_time() - started)
        return float(best)

    assert seconds(0.005) < 10 * seconds(0.5)


def test_plan_has_no_denormals() -> None:
    plan = sinkhorn(100.0 * random_costs(2, 50, 50), 0.05).plan
    assert not bool(((plan > 0) & (plan < torch.finfo(torch.float64).tiny)).any())


def test_batch_entries_do_not_disturb_each_other() -> None:
    costs = random_costs(4, 18, 25) * torch.tensor([0.1, 1.0, 5.0, 30.0]).view(-1, 1, 1)
    together = sinkhorn(costs, 0.02)
    assert float(together.error.max()) < 1e-7
    for cost, plan in zip(costs, together.plan, strict=True):
        assert float((sinkhorn(cost, 0.02).plan - plan).abs().max()) < 1e-6


def test_equal_costs_give_the_product_of_the_marginals() -> None:
    plan = sinkhorn(torch.full((3, 5), 2.0), 0.01).plan
    assert torch.allclose(plan, torch.full((3, 5), 1 / 15, dtype=torch.float64))


@pytest.mark.parametrize(
    ("cost", "epsilon", "words"),
    [
        (torch.zeros(3), 0.1, "must be"),
        (torch.zeros(0, 3), 0.1, "not empty"),
        (torch.full((2, 2), float("nan")), 0.1, "not finite"),
        (torch.zeros(2, 2), 0.0, "positive"),
    ],
)
def test_bad_input_is_refused(cost: torch.Tensor, epsilon: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        sinkhorn(cost, epsilon)


def test_unfinished_plan_is_not_returned() -> None:
    with pytest.raises(RuntimeError, match="marginals off"):
        sinkhorn(random_costs(1, 30, 30)[0], 0.001, max_iterations=1)
