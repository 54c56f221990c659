"""What a policy remembers: a uniform sample of everything it was taught, whatever the order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from polytask_policy.checkpoint import CheckpointError, save_checkpoint
from polytask_trainer.distillation.dataset import DistillError, TaskDataset
from polytask_trainer.distillation.memory import RehearsalMemory, prune_others

SIZES = {"left": 600, "right": 200, "stay": 400}


def lesson(task: str, seed: int = 0) -> TaskDataset:
    """A lesson whose states say where in the replay they were."""
    size = SIZES[task]
    lots = np.random.default_rng([seed, *task.encode()]).random(size)
    return TaskDataset(
        task=task,
        states=torch.arange(size, dtype=torch.float32)[:, None],
        actions=torch.zeros(size, 1),
        pictures=torch.zeros(2, 3, 42, 42, dtype=torch.uint8),
        lots=torch.from_numpy(lots),
        source=f"{task} {seed}",
    )


def rows(memory: RehearsalMemory) -> dict[str, list[int]]:
    """Which samples of each task are kept."""
    return {kept.task: kept.states[:, 0].int().tolist() for kept in memory.lessons}


def test_samples_are_kept_uniformly_when_tasks_come_one_after_another() -> None:
    kept = {task: np.zeros(size) for task, size in SIZES.items()}
    storage, runs = 60, 200
    for seed in range(runs):
        memory = RehearsalMemory(storage=storage)
        for task in SIZES:
            memory = memory.with_lessons([lesson(task, seed)])
        found = rows(memory)
        assert sum(map(len, found.values())) == storage
        for task, own in found.items():
            kept[task][own] += 1
    # Blocks of 50 samples each, early and late ones of early and late tasks, are kept equally often.
    blocks = np.concatenate([counts.reshape(-1, 50).sum(1) for counts in kept.values()])
    assert blocks.sum() == storage * runs
    assert chisquare(blocks).pvalue > 0.01


def test_order_and_grouping_do_not_matter_and_shares_shrink() -> None:
    lessons = [lesson(task) for task in SIZES]
    at_once = RehearsalMemory(storage=100).with_lessons(lessons)
    one_by_one = RehearsalMemory(storage=100)
    shares = []
    for one in reversed(lessons):
        one_by_one = one_by_one.with_lessons([one])
        shares.append(len(rows(one_by_one)["stay"]))
    assert rows(at_once) == rows(one_by_one)
    assert shares[0] == 100 > shares[1] > shares[2] > 0


def test_without_a_bound_all_is_kept_and_a_task_learned_again_replaces_itself() -> None:
    memory = RehearsalMemory().with_lessons([lesson("left"), lesson("right")])
    assert [len(own) for own in rows(memory).values()] == [600, 200]
    again = memory.with_lessons([lesson("left", seed=1)])
    assert [kept.source for kept in again.lessons] == ["left 1", "right 0"]
    bounded = RehearsalMemory(storage=100).with_lessons([lesson("left"), lesson("right")])
    limit = bounded.limit
    assert bounded.with_lessons([lesson("left", seed=1)]).limit <= limit  # what was forgotten does not come back


def test_a_storage_that_leaves_nothing_of_a_task_is_refused() -> None:
    with pytest.raises(DistillError, match="storage of 1 samples for 3 tasks leaves nothing of"):
        RehearsalMemory(storage=1).with_lessons([lesson(task) for task in SIZES])


def test_a_memory_is_read_as_it_was_written_and_the_policy_says_which_is_its_own(tmp_path: Path) -> None:
    first = RehearsalMemory(storage=100).with_lessons([lesson("left"), lesson("right")])
    second = first.with_lessons([lesson("stay")])
    names = [memory.save(tmp_path) for memory in (first, second)]
    for name, memory in zip(names, (first, second), strict=True):
        save_checkpoint(tmp_path, {}, {"kind": "unified", "memory": name})
        read = RehearsalMemory.load(tmp_path)
        assert (read.storage, read.limit, rows(read)) == (100, memory.limit, rows(memory))
        for one, other in zip(read.lessons, memory.lessons, strict=True):
            assert one.source == other.source
            assert torch.equal(one.lots, other.lots)
            assert torch.equal(one.pictures, other.pictures)
    prune_others(tmp_path, names[1])
    assert [folder.name for folder in (tmp_path / "memory").iterdir()] == [names[1]]


def test_a_policy_without_memory_or_with_a_damaged_one_is_named(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, {}, {"kind": "unified"})
    with pytest.raises(DistillError, match="has no memory of its tasks"):
        RehearsalMemory.load(tmp_path)
    name = RehearsalMemory().with_lessons([lesson("left")]).save(tmp_path)
    save_checkpoint(tmp_path, {}, {"kind": "unified", "memory": name})
    save_checkpoint(
        tmp_path / "memory" / name, {}, {"kind": "memory", "tasks": ["left"], "sources": [""], "limit": 1.0}
    )
    with pytest.raises(CheckpointError, match="lacks an entry"):
        RehearsalMemory.load(tmp_path)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder of somebody's, which looks like a folder of memories."""
    folder = tmp_path / "elsewhere"
    RehearsalMemory().with_lessons([lesson("left")]).save(folder)
    (folder / "memory" / "letters").mkdir()
    (folder / "memory" / "letters" / "checkpoint.json").touch()
    return folder / "memory"


def everything(folder: Path) -> set[str]:
    """Names of all that is in a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_memory_that_is_linked_elsewhere_is_neither_read_nor_written_nor_emptied(
    tmp_path: Path, elsewhere: Path
) -> None:
    policy, before = tmp_path / "policy", everything(elsewhere)
    own = next(path.name for path in elsewhere.iterdir() if path.name != "letters")
    save_checkpoint(policy, {}, {"kind": "unified", "memory": own})
    (policy / "memory").symlink_to(elsewhere)
    prune_others(policy, "0123456789abcdef")
    with pytest.raises(DistillError, match="is a symbolic link"):
        RehearsalMemory.load(policy)
    with pytest.raises(DistillError, match="is a symbolic link"):
        RehearsalMemory().with_lessons([lesson("right")]).save(policy)
    assert everything(elsewhere) == before
    (policy / "memory").unlink()
    (policy / "memory").mkdir()
    (policy / "memory" / own).symlink_to(elsewhere / own)
    with pytest.raises(DistillError, match="is a symbolic link"):
        RehearsalMemory.load(policy)
    prune_others(policy, "0123456789abcdef")
    assert everything(elsewhere) == before


def test_only_memories_of_ours_are_forgotten(tmp_path: Path, elsewhere: Path) -> None:
    policy = tmp_path / "policy"
    old, new = (RehearsalMemory().with_lessons([lesson(task)]).save(policy) for task in ("left", "right"))
    for name in ("letters", "0123456789abcdef", f"{old}/sub"):
        (policy / "memory" / name).mkdir()
        (policy / "memory" / name / "thesis.txt").touch()
    (policy / "memory" / "linked").symlink_to(elsewhere)
    (policy / "memory" / "note.txt").touch()
    prune_others(policy, new)
    left = {path.relative_to(policy / "memory").as_posix() for path in policy.glob("memory/**/*.txt")}
    assert left == {"letters/thesis.txt", "0123456789abcdef/thesis.txt", f"{old}/sub/thesis.txt", "note.txt"}
    assert not (policy / "memory" / old / "checkpoint.json").exists()
    assert (policy / "memory" / new / "checkpoint.json").exists()
    assert (elsewhere / "letters" / "checkpoint.json").exists()


@pytest.mark.parametrize("name", ["../../elsewhere/memory", "/tmp", "", ".", "..", 5, None, ["x"]])
def test_a_name_that_is_none_of_a_memory_is_not_followed(tmp_path: Path, name: object) -> None:
    save_checkpoint(tmp_path, {}, {"kind": "unified", "memory": name})
    with pytest.raises(CheckpointError, match="no name of a memory"):
        RehearsalMemory.load(tmp_path)
