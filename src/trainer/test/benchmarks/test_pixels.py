"""What `bench` measures of pixels, at tiny sizes: both ways do their work, and a ratio comes out."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from toy_sight import small

from polytask_trainer.agents.drqv2 import DrQv2
from polytask_trainer.benchmarks import parallel as parallel_benchmark
from polytask_trainer.benchmarks import pixels as pixel_benchmark
from polytask_trainer.benchmarks.pixels import measure_frames, measure_sampling, measure_update
from polytask_trainer.benchmarks.reference_drqv2 import Textbook


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_both_updates_learn_and_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    learners: list[DrQv2 | Textbook] = []
    for kind in (DrQv2, Textbook):

        def made(*arguments: object, kind: type = kind) -> object:
            learners.append(kind(*arguments))
            return learners[-1]

        monkeypatch.setattr(pixel_benchmark, kind.__name__, made)
    before = torch.random.get_rng_state()
    result = measure_update(small(), rounds=2)
    torch.random.set_rng_state(before)
    assert [type(one) for one in learners] == [DrQv2, DrQv2, Textbook]
    for one in learners:
        # The averaged actor is where learning began, so far: each of the three has moved away from it.
        changed = zip(one.actor.state_dict().values(), one.average.state_dict().values(), strict=True)
        assert sum(not torch.equal(new, old) for new, old in changed) > 6
        assert all(bool(value.isfinite().all()) for value in one.actor.state_dict().values())
    assert result["ratio"] == result["textbook"] / result["float32"] > 0
    assert result["ours"] > 0


def test_on_a_gpu_the_update_as_configured_is_what_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_benchmark, "_in_turns", lambda ways, *_: dict(zip(ways, (1.0, 2.0, 6.0), strict=True)))
    assert measure_update(small())["ratio"] == 3.0
    monkeypatch.setattr(pixel_benchmark, "on_gpu", lambda device: True)
    assert measure_update(small())["ratio"] == 6.0


def test_batches_of_both_replays_are_compared() -> None:
    result = measure_sampling(size=16, episodes=3, steps=10, batch=8)
    assert math.isclose(result["ratio"], result["textbook"] / result["ours"])
    assert result["textbook_bytes"] > 5 * result["ours_bytes"]


def test_frames_take_their_own_size_on_disk(tmp_path: Path) -> None:
    result = measure_frames(tmp_path, count=2000, size=16, steps=9, batches=2)
    own = 3 * 16 * 16
    assert result["count"] == 2000
    assert 2000 * own <= result["disk"] <= 2000 * own + 65536
    assert result["textbook"] == 200 * 9 * 6 * own
    assert 0 < result["resident"] < 40e6


@pytest.mark.slow
def test_two_experts_at_once_are_compared_with_one(tmp_path: Path) -> None:
    quick = {"critic_updates": 1, "updates_per_step": 0.02, "seed_episodes": 1, "cloning": {"steps": 5}}
    result = parallel_benchmark.measure(tmp_path, 1, **quick)
    assert result["ratio"] == result["two"] / result["one"] > 0
