"""Distillation on three made-up experts of a point that goes left, right or stays, asked in three ways."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_experts import CONFIG, TASKS, Text, encode, make_expert, picture, same

from polytask_policy.checkpoint import load_checkpoint
from polytask_policy.expert import ExpertPolicy
from polytask_policy.unified import UnifiedPolicy
from polytask_trainer.distillation.config import DistillConfig, DistillProgress
from polytask_trainer.distillation.dataset import DistillError, distillation_dataset, read_experts
from polytask_trainer.distillation.distill import distill
from polytask_trainer.distillation.sampler import Ahead, Batch, draw_batch


def test_for_a_gpu_the_next_batch_is_drawn_while_one_is_learned_from() -> None:
    drawn: list[int] = []
    came = threading.Event()

    def draw(step: int) -> Batch:
        assert threading.current_thread() is not threading.main_thread()
        drawn.append(step)
        if step == 4:
            came.set()
        return Batch(*[torch.tensor(step)] * 6)

    with Ahead(draw, torch.device("cuda")) as batches:
        assert int(batches(3).states) == 3
        assert came.wait(60.0)
        assert [int(batches(step).states) for step in (4, 5, 9)] == [4, 5, 9]
    assert drawn[:5] == [3, 4, 5, 6, 9]


@pytest.fixture
def experts(tmp_path: Path) -> list[Path]:
    """Folders of the three experts."""
    torch.set_num_threads(1)
    return [make_expert(tmp_path / "experts" / name, task) for task, name in enumerate(TASKS)]


def test_the_student_does_each_task_when_asked_in_each_way(experts: list[Path], tmp_path: Path) -> None:
    reports: list[DistillProgress] = []
    config = DistillConfig(steps=200, batch=64, pictures=8, hidden=(32, 32), alignment=0.2, learning_rate=3e-3)
    result = distill(config, experts, tmp_path / "out", on_progress=reports.append, encode=encode)
    assert result.finished
    assert result.loss < 0.02
    assert [report.step for report in reports] == list(range(50, 201, 50))
    policy = UnifiedPolicy.load(tmp_path / "out", Text())  # type: ignore[arg-type]
    assert policy.tasks == TASKS
    rng = np.random.default_rng(9)
    for task, name in enumerate(TASKS):
        teacher = ExpertPolicy.load(experts[task])
        goals = [
            policy.goal_from_task(name),
            policy.goal_from_words(f"please go {name}"),
            policy.goal_from_image(picture(task, rng)),
        ]
        for goal in goals:
            assert goal.task == name
            for state in rng.normal(size=(10, 3)).astype(np.float32):
                assert np.abs(policy.act(state, goal) - teacher.act(state)).max() < 0.4
    log = [json.loads(line) for line in (tmp_path / "out" / "progress.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == list(range(50, 201, 50))
    assert log[-1]["loss"] < log[0]["loss"]
    assert list((tmp_path / "out" / "log").glob("events.*"))


def test_the_same_seed_gives_the_same_policy_and_another_another(experts: list[Path], tmp_path: Path) -> None:
    for name in ("one", "two"):
        torch.manual_seed(len(name) + len(str(tmp_path)))
        distill(CONFIG, experts, tmp_path / name, encode=encode)
    distill(DistillConfig(**{**CONFIG.__dict__, "seed": 1}), experts, tmp_path / "three", encode=encode)
    assert same(tmp_path / "one", tmp_path / "two")
    assert not same(tmp_path / "one", tmp_path / "three")


@pytest.mark.parametrize("stop_at", [0, 1, 30, 59])
def test_stopped_and_resumed_equals_uninterrupted(experts: list[Path], tmp_path: Path, stop_at: int) -> None:
    distill(CONFIG, experts, tmp_path / "whole", encode=encode)
    calls = iter(range(1000))
    stopped = distill(CONFIG, experts, tmp_path / "parts", should_stop=lambda: next(calls) >= stop_at, encode=encode)
    assert (stopped.finished, stopped.steps) == (False, stop_at)
    assert distill(CONFIG, experts, tmp_path / "parts", encode=encode).finished
    assert same(tmp_path / "whole", tmp_path / "parts")
    whole, parts = ((tmp_path / name / "progress.jsonl").read_text() for name in ("whole", "parts"))
    assert [json.loads(line)["step"] for line in whole.splitlines()] == [
        json.loads(line)["step"] for line in parts.splitlines()
    ]
    assert not (tmp_path / "parts" / "training").exists()


def _distill_forever(experts: list[Path], output: Path, steps: int) -> None:
    torch.set_num_threads(1)
    distill(DistillConfig(**{**CONFIG.__dict__, "steps": steps}), experts, output, encode=encode)


def test_killed_and_resumed_equals_uninterrupted(experts: list[Path], tmp_path: Path) -> None:
    steps = 250
    process = multiprocessing.get_context("spawn").Process(
        target=_distill_forever, args=(experts, tmp_path / "killed", steps)
    )
    process.start()
    deadline = time.monotonic() + 60
    while not (tmp_path / "killed" / "training" / "checkpoint.json").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    kept = load_checkpoint(tmp_path / "killed" / "training")[1]["step"]
    assert 0 < kept < steps
    seen: list[DistillProgress] = []
    config = DistillConfig(**{**CONFIG.__dict__, "steps": steps})
    distill(config, experts, tmp_path / "killed", on_progress=seen.append, encode=encode)
    assert seen[0].step == kept // 10 * 10 + 10
    distill(config, experts, tmp_path / "whole", encode=encode)
    assert same(tmp_path / "killed", tmp_path / "whole")


def test_a_finished_distillation_returns_at_once_and_changed_experts_start_anew(
    experts: list[Path], tmp_path: Path
) -> None:
    first = distill(CONFIG, experts, tmp_path / "out", encode=encode)
    seen: list[DistillProgress] = []
    assert distill(CONFIG, experts, tmp_path / "out", on_progress=seen.append, encode=encode) == first
    assert not seen
    np.savez(experts[1] / "replay.npz", states=np.zeros((9, 3), dtype=np.float32))
    distill(CONFIG, experts, tmp_path / "out", on_progress=seen.append, encode=encode)
    assert seen[0].step == 10


def test_batches_pair_every_state_with_its_own_teacher_and_every_goal_with_its_task(experts: list[Path]) -> None:
    data = distillation_dataset(*read_experts(experts), encode)
    teachers = [ExpertPolicy.load(folder) for folder in experts]
    kinds = np.zeros(3)
    for step in range(5):
        batch = draw_batch(data, CONFIG, step)
        for state, action, task in zip(batch.states, batch.actions, batch.tasks.tolist(), strict=True):
            assert np.allclose(teachers[task].act(state.numpy()), action.numpy(), atol=1e-5)
        words, pictures = len(batch.sentences), len(batch.picture_rows)
        kinds += [words, pictures, CONFIG.batch - words - pictures]
        # The square in a shifted picture still tells the task: its channel is the brightest.
        for row, task in zip(batch.picture_rows, batch.tasks[words : words + pictures].tolist(), strict=True):
            assert int(batch.pictures[row].mean((1, 2)).argmax()) == task
        nearest = (batch.sentences @ data.sentences.T).argmax(1) // 3
        assert (nearest == batch.tasks[:words]).float().mean() > 0.9
    assert kinds.min() > 0.2 * kinds.sum()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "replay.npz").unlink(), "replay.npz is missing"),
        (lambda folder: (folder / "goal_images.npz").write_bytes(b"PK"), "goal_images.npz cannot be read"),
        (lambda folder: np.savez(folder / "replay.npz", other=np.zeros(3)), "no array 'states'"),
        (lambda folder: np.savez(folder / "replay.npz", states=np.zeros((4, 2), np.float32)), "expected float32"),
        (lambda folder: np.savez(folder / "replay.npz", states=np.zeros((0, 3), np.float32)), "expected float32"),
        (lambda folder: np.savez(folder / "replay.npz", states=np.full((4, 3), np.nan, np.float32)), "not finite"),
        (lambda folder: np.savez(folder / "replay.npz", states=np.array([{}], dtype=object)), "cannot be read"),
        (lambda folder: np.savez(folder / "goal_images.npz", images=np.zeros((0, 84, 84, 3), np.uint8)), "shape"),
        (lambda folder: np.savez(folder / "goal_images.npz", images=np.zeros((2, 84, 84, 3))), "dtype"),
        (lambda folder: (folder / "checkpoint.json").unlink(), "holds no checkpoint"),
    ],
)
def test_a_damaged_expert_is_named(experts: list[Path], tmp_path: Path, damage, reason: str) -> None:  # type: ignore[no-untyped-def]
    damage(experts[1])
    with pytest.raises(DistillError, match=reason) as refused:
        distill(CONFIG, experts, tmp_path / "out", encode=encode)
    assert str(experts[1]) in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"suite": "plane"}, "suite 'plane'"),
        ({"state_names": ("x", "y", "angle")}, "lacks speed.*does not know angle"),
        ({"action_names": ("lift", "push")}, "another order"),
        ({"embodiment": {"name": "other"}}, "embodiment: 'name' differs"),
        ({"instructions": {}}, "no instructions"),
        ({"tasks": ("left",), "instructions": {"left": ("go left",)}}, "both experts of 'left'"),
    ],
)
def test_experts_that_do_not_fit_together_are_refused(
    experts: list[Path], tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    make_expert(experts[1], 1, **changes)
    with pytest.raises(DistillError, match=reason):
        distill(CONFIG, experts, tmp_path / "out", encode=encode)


def test_an_output_folder_that_holds_an_expert_is_left_alone(experts: list[Path]) -> None:
    with pytest.raises(DistillError, match="of kind 'expert'"):
        distill(CONFIG, experts, experts[0], encode=encode)
    assert ExpertPolicy.load(experts[0]).task == "left"


def test_no_experts_and_bad_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DistillError, match="no experts"):
        distill(CONFIG, [], tmp_path / "out", encode=encode)
    with pytest.raises(ValueError, match="steps must be positive"):
        DistillConfig(steps=0)
    with pytest.raises(ValueError, match="alignment must not be negative"):
        DistillConfig(alignment=-1)


def test_an_output_whose_memory_is_linked_elsewhere_is_refused_before_anything_is_done(
    experts: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "letters" / "0123456789abcdef").mkdir(parents=True)
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "memory").symlink_to(tmp_path / "letters")
    with pytest.raises(DistillError, match="is a symbolic link"):
        distill(CONFIG, experts, tmp_path / "policy", encode=encode)
    assert (tmp_path / "letters" / "0123456789abcdef").exists()
