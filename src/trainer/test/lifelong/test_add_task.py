"""A policy of made-up tasks learns one more, forgets none, and survives every interruption."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_experts import CONFIG, TASKS, Text, encode, make_expert, same

from polytask_policy.checkpoint import load_checkpoint
from polytask_policy.expert import ExpertPolicy
from polytask_policy.goal_networks import TASK_SLOTS
from polytask_policy.unified import UnifiedPolicy
from polytask_trainer.distillation.config import DistillConfig
from polytask_trainer.distillation.dataset import DistillError, distillation_dataset, read_experts
from polytask_trainer.distillation.distill import distill
from polytask_trainer.distillation.memory import RehearsalMemory
from polytask_trainer.lifelong.add_task import add_task, copy_policy

TAUGHT = DistillConfig(steps=200, batch=64, pictures=6, hidden=(32, 32), alignment=0.2, learning_rate=3e-3)


@pytest.fixture(scope="module")
def experts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("experts")
    return [make_expert(folder / name, task) for task, name in enumerate(TASKS)]


@pytest.fixture(scope="module")
def two_tasks(experts: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that was taught left and right."""
    folder = tmp_path_factory.mktemp("two")
    distill(TAUGHT, experts[:2], folder, encode=encode)
    return folder


@pytest.fixture
def policy(two_tasks: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    copy_policy(two_tasks, tmp_path / "policy")
    return tmp_path / "policy"


def errors(folder: Path, experts: list[Path], in_words: bool) -> list[float]:
    """Mean difference of the first action between policy and expert of each taught task, asked by name or in words."""
    policy = UnifiedPolicy.load(folder, Text())  # type: ignore[arg-type]
    states = np.random.default_rng(7).normal(size=(30, 3)).astype(np.float32)
    found = []
    for name, expert in zip(policy.tasks, map(ExpertPolicy.load, experts), strict=True):
        assert expert.task == name
        goal = policy.goal_from_words(f"please go {name}") if in_words else policy.goal_from_task(name)
        own = np.stack([policy.act(state, goal) for state in states])
        found.append(float(np.abs(own - expert.act(states))[:, 0].mean()))
    return found


def shapes(folder: Path) -> dict[str, torch.Size]:
    """Of the networks' parameters."""
    return {name: t.shape for name, t in load_checkpoint(folder)[0].items() if not name.startswith("examples.")}


def test_one_more_task_is_learned_and_none_forgotten_while_fine_tuning_forgets(
    policy: Path, experts: list[Path], tmp_path: Path
) -> None:
    copy_policy(policy, tmp_path / "tuned")
    before = shapes(policy)
    assert add_task(TAUGHT, experts[2], policy, encode=encode).finished
    add_task(TAUGHT, experts[2], tmp_path / "tuned", rehearse=False, encode=encode)
    assert UnifiedPolicy.load(policy).tasks == TASKS
    assert shapes(policy) == before
    kept = errors(policy, experts, in_words=False)
    assert max(kept) < 0.1
    assert max(errors(policy, experts, in_words=True)) < 0.1
    left, right, stay = errors(tmp_path / "tuned", experts, in_words=False)
    assert stay < 0.1
    assert left + right > 4 * (kept[0] + kept[1])


def test_the_earlier_policy_is_kept_whole(policy: Path, two_tasks: Path, experts: list[Path]) -> None:
    add_task(CONFIG, experts[2], policy, encode=encode)
    assert same(policy / "previous", two_tasks)
    assert [lesson.task for lesson in RehearsalMemory.load(policy / "previous").lessons] == ["left", "right"]
    assert [lesson.task for lesson in RehearsalMemory.load(policy).lessons] == list(TASKS)
    assert add_task(CONFIG, experts[2], policy / "previous", encode=encode).finished
    assert same(policy / "previous", policy)


def test_a_folder_of_the_users_in_the_place_of_the_earlier_policy_stays(policy: Path, experts: list[Path]) -> None:
    (policy / "previous").mkdir()
    (policy / "previous" / "thesis.txt").touch()
    before = (policy / "checkpoint.json").read_bytes()
    with pytest.raises(DistillError, match=r"previous holds what is not ours.*move it away"):
        add_task(CONFIG, experts[2], policy, encode=encode)
    assert (policy / "previous" / "thesis.txt").exists()
    assert (policy / "checkpoint.json").read_bytes() == before
    (policy / "previous" / "thesis.txt").unlink()
    assert add_task(CONFIG, experts[2], policy, encode=encode).finished


def test_memory_and_experts_teach_the_same(policy: Path, experts: list[Path]) -> None:
    description, lessons = read_experts(experts[:2])
    remembered = distillation_dataset(
        UnifiedPolicy.load(policy).description, RehearsalMemory.load(policy).lessons, encode
    )
    read = distillation_dataset(description, lessons, encode)
    assert remembered.description == read.description
    assert remembered.fingerprint == read.fingerprint
    for field in ("states", "actions", "pictures", "sentences"):
        assert torch.equal(getattr(remembered, field), getattr(read, field))


def test_stopped_anywhere_it_ends_with_the_same_policy(policy: Path, experts: list[Path], tmp_path: Path) -> None:
    copy_policy(policy, tmp_path / "parts")
    before = (tmp_path / "parts" / "checkpoint.json").read_bytes()
    add_task(CONFIG, experts[2], policy, encode=encode)
    calls = iter(range(1000))
    stopped = add_task(CONFIG, experts[2], tmp_path / "parts", should_stop=lambda: next(calls) >= 31, encode=encode)
    assert (stopped.finished, stopped.steps) == (False, 31)
    assert (tmp_path / "parts" / "checkpoint.json").read_bytes() == before
    assert add_task(CONFIG, experts[2], tmp_path / "parts", encode=encode).finished
    assert same(policy, tmp_path / "parts")
    # Again: learned already.
    unchanged = (policy / "checkpoint.json").read_bytes()
    assert add_task(CONFIG, experts[2], policy, should_stop=lambda: True, encode=encode).finished
    assert (policy / "checkpoint.json").read_bytes() == unchanged


def test_a_killed_writer_leaves_policy_and_memory_together(
    policy: Path, experts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new memory is there, the checkpoint that names it is not yet."""

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(UnifiedPolicy, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            add_task(CONFIG, experts[2], policy, encode=encode)
    assert [lesson.task for lesson in RehearsalMemory.load(policy).lessons] == ["left", "right"]
    assert add_task(CONFIG, experts[2], policy, encode=encode).finished
    assert [lesson.task for lesson in RehearsalMemory.load(policy).lessons] == list(TASKS)


def test_a_bounded_memory_stays_bounded(experts: list[Path], tmp_path: Path) -> None:
    distill(dataclasses.replace(CONFIG, storage=90), experts[:2], tmp_path, encode=encode)
    assert sum(len(lesson.states) for lesson in RehearsalMemory.load(tmp_path).lessons) == 90
    add_task(CONFIG, experts[2], tmp_path, encode=encode)
    memory = RehearsalMemory.load(tmp_path)
    assert sum(len(lesson.states) for lesson in memory.lessons) == 90
    assert all(10 < len(lesson.states) < 60 for lesson in memory.lessons)


def test_a_task_learned_better_takes_the_place_of_the_old(policy: Path, experts: list[Path], tmp_path: Path) -> None:
    better = make_expert(tmp_path / "better", 2, tasks=("right",), instructions={"right": ("go right", "turn right")})
    add_task(TAUGHT, better, policy, encode=encode)
    assert UnifiedPolicy.load(policy).tasks == ("left", "right")
    assert UnifiedPolicy.load(policy).description.instructions["right"] == ("go right", "turn right")
    assert max(errors(policy, [experts[0], better], in_words=False)) < 0.1


def test_what_does_not_fit_is_refused_and_the_policy_stays(policy: Path, experts: list[Path], tmp_path: Path) -> None:
    before = (policy / "checkpoint.json").read_bytes()
    other = make_expert(tmp_path / "other", 2, suite="plane")
    with pytest.raises(DistillError, match="suite 'plane'"):
        add_task(CONFIG, other, policy, encode=encode)
    with pytest.raises(DistillError, match="of kind 'expert'"):
        add_task(CONFIG, experts[2], experts[0], encode=encode)
    shutil.rmtree(policy / "memory")
    with pytest.raises(DistillError, match="holds no checkpoint"):
        add_task(CONFIG, experts[2], policy, encode=encode)
    assert (policy / "checkpoint.json").read_bytes() == before


def test_a_full_table_is_refused(experts: list[Path], tmp_path: Path) -> None:
    many = [
        make_expert(tmp_path / f"{i}", 0, tasks=(f"task {i}",), instructions={f"task {i}": (f"do task {i}",)})
        for i in range(TASK_SLOTS)
    ]
    distill(dataclasses.replace(CONFIG, steps=1, storage=0), many, tmp_path / "full", encode=encode)
    with pytest.raises(DistillError, match=r"full: 65 tasks are too many.*holds 64"):
        add_task(CONFIG, experts[0], tmp_path / "full", encode=encode)
