"""Distillation on made-up experts that see: 16 pixels, random frames."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from toy_experts import ACTIONS, CONFIG, TASKS, UNITS, Text, encode, make_expert, picture, same

from polytask_policy.expert import ExpertPolicy
from polytask_policy.goals import UnknownGoal
from polytask_policy.pixel_networks import PixelActor
from polytask_policy.policy_spec import Pictures, PolicySpec
from polytask_policy.unified import UnifiedPolicy
from polytask_trainer.distillation import relabel as relabelling
from polytask_trainer.distillation.config import DistillProgress
from polytask_trainer.distillation.dataset import DistillError, distillation_dataset, read_experts
from polytask_trainer.distillation.distill import distill
from polytask_trainer.distillation.memory import RehearsalMemory
from polytask_trainer.distillation.relabel import relabel_actions
from polytask_trainer.distillation.sampler import draw_batch
from polytask_trainer.lifelong.add_task import add_task
from polytask_trainer.replay.frame_store import FrameStore
from polytask_trainer.replay.pixels import SeenStates

SEES = Pictures("camera", 16, 2)
LENGTH, EPISODES = 10, 6


def make_seeing_expert(folder: Path, task: int, sees: Pictures = SEES, states: tuple[str, ...] = ("speed",)) -> Path:
    """Write the run folder of an expert that sees; its frames are random."""
    with torch.random.fork_rng():
        torch.manual_seed(task)
        actor = PixelActor(sees, len(states), 2, (8,), 8)
    with torch.no_grad():
        actor.layers[-1].weight.mul_(0.2)
        actor.layers[-1].bias.copy_(torch.tensor([(-1.1, 1.1, 0.0)[task], 0.2]))
    name = TASKS[task]
    description = PolicySpec(
        "line",
        (name,),
        states,
        ACTIONS,
        {name: (f"go {name}", f"please {name} now")},
        embodiment={"state": UNITS, "cameras": [{"name": sees.camera}]},
        pictures=sees,
    )
    ExpertPolicy(actor, description).save(folder)
    rng = np.random.default_rng(task)
    store = FrameStore(folder / "frames.u8", EPISODES, LENGTH, sees.size)
    for slot in range(EPISODES):
        store.write(slot, rng.integers(0, 256, (LENGTH, 3, sees.size, sees.size)).astype(np.uint8))
    first, step = (part.flatten() for part in np.mgrid[:EPISODES, : LENGTH - 1])
    np.savez(
        folder / "replay.npz",
        states=rng.normal(size=(len(first), len(states))).astype(np.float32),
        first=first * LENGTH,
        place=first * LENGTH + step,
        shape=np.array([EPISODES, LENGTH, sees.size, sees.stack]),
    )
    np.savez(folder / "goal_images.npz", images=np.stack([picture(task, rng) for _ in range(4)]))
    return folder


@pytest.fixture
def experts(tmp_path: Path) -> list[Path]:
    """Folders of two experts."""
    torch.set_num_threads(1)
    return [make_seeing_expert(tmp_path / "experts" / TASKS[task], task) for task in range(2)]


def seen(expert: Path, index: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """A state of an expert's replay and what was seen in it."""
    read = SeenStates(expert)
    return read.states[index], read.pictures(np.array([index]))[0]


def test_the_student_computes_as_its_experts_did_and_learns_as_well(
    experts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    config = dataclasses.replace(CONFIG, steps=40)
    full = distill(config, experts, tmp_path / "float32", encode=encode)
    for folder in experts:
        sees = ExpertPolicy.load(folder)
        sees.save(folder, settings={"pictures": {"bf16": True}})
    half = distill(config, experts, tmp_path / "bfloat16", encode=encode)
    assert half.loss != full.loss
    assert half.loss == pytest.approx(full.loss, rel=0.05)
    kept = UnifiedPolicy.load(tmp_path / "bfloat16")
    assert {value.dtype for value in kept.actor.state_dict().values()} == {torch.float32}


def test_batches_pair_what_was_seen_with_its_own_teachers_action(experts: list[Path], tmp_path: Path) -> None:
    description, lessons = read_experts(experts)
    taught = relabel_actions(lessons, experts, tmp_path, torch.device("cpu"), None)
    assert taught
    data = distillation_dataset(description, taught, encode)
    read = [SeenStates(folder) for folder in experts]
    frames = np.concatenate([one.pictures(np.arange(len(one.states))) for one in read])
    teachers = [ExpertPolicy.load(folder) for folder in experts]
    rows = np.array([0, 60, 17, 107, 53, 54])
    joined = data.seen(rows)
    assert joined is not None
    assert np.array_equal(joined.numpy(), frames[rows])
    for row in rows:
        action = teachers[row // 54].act(data.states[row].numpy(), frames[row])
        assert np.allclose(data.actions[row].numpy(), action, atol=1e-5)
    batch = draw_batch(data, CONFIG, 0)
    assert batch.seen is not None
    assert batch.seen.shape == (CONFIG.batch, 6, 16, 16)
    # Shifted by at most one pixel, the inner part lies in the frame it came from; frames are random, so in no other.
    for state, stack in zip(batch.states, batch.seen.numpy(), strict=True):
        own = frames[int((data.states == state).all(1).nonzero())]
        inner = stack[:, 2:-2, 2:-2]
        moved = [own[:, y : y + 12, x : x + 12] for y in (1, 2, 3) for x in (1, 2, 3)]
        assert any(np.array_equal(inner, one) for one in moved)


def test_the_student_sees_and_is_asked_in_each_way(experts: list[Path], tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, steps=150, learning_rate=3e-3, alignment=0.2)
    assert distill(config, experts, tmp_path / "out", encode=encode).finished
    policy = UnifiedPolicy.load(tmp_path / "out", Text())  # type: ignore[arg-type]
    assert policy.description.pictures == SEES
    rng = np.random.default_rng(9)
    teachers = [ExpertPolicy.load(folder) for folder in experts]
    for task, name in enumerate(TASKS[:2]):
        goals = [
            policy.goal_from_task(name),
            policy.goal_from_words(f"please {name} now"),
            policy.goal_from_image(picture(task, rng)),
        ]
        own, other = 0.0, 0.0
        for index in range(0, 54, 6):
            state, stack = seen(experts[task], index)
            for goal in goals:
                assert goal.task == name
                action = policy.act(state, goal, stack)
                wanted, wrong = (one.act(state, stack) for one in (teachers[task], teachers[1 - task]))
                own, other = own + np.abs(action - wanted).mean(), other + np.abs(action - wrong).mean()
        assert own < 0.5 * other
        state, stack = seen(experts[task], 3)
        assert not np.array_equal(policy.act(state, goals[0], stack), policy.act(state, goals[0], 255 - stack))
        expected = policy.actor(*map(torch.from_numpy, (state[None], goals[0].embedding[None], stack[None])))
        assert np.allclose(policy.act(state, goals[0], stack), expected[0].detach().numpy(), atol=1e-5)
        for wrong_stack in (None, stack[:3], stack.astype(np.float32)):
            with pytest.raises(ValueError, match="of camera 'camera', not"):
                policy.act(state, goals[0], wrong_stack)
    with pytest.raises(UnknownGoal, match="like nothing"):
        policy.goal_from_image(np.full((84, 84, 3), 90, np.uint8))
    with pytest.raises(UnknownGoal, match="no task 'fly'"):
        policy.goal_from_task("fly")


def test_same_seed_same_policy_also_when_resumed(experts: list[Path], tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, steps=30, save_every=10)
    distill(config, experts, tmp_path / "one", encode=encode)
    calls = iter(range(100))
    assert not distill(config, experts, tmp_path / "two", should_stop=lambda: next(calls) >= 17, encode=encode).finished
    distill(config, experts, tmp_path / "two", encode=encode)
    distill(dataclasses.replace(config, seed=1), experts, tmp_path / "three", encode=encode)
    assert same(tmp_path / "one", tmp_path / "two")
    assert not same(tmp_path / "one", tmp_path / "three")


def test_in_pieces_shorter_than_relabelling_it_gives_the_same_policy(
    experts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relabelling, "CHUNK", 10)  # six for each of the experts
    config = dataclasses.replace(CONFIG, steps=10)
    distill(config, experts, tmp_path / "whole", encode=encode)
    steps = []
    for _ in range(20):
        calls = itertools.count()
        stop = lambda calls=calls: next(calls) >= 4  # noqa: E731
        result = distill(config, experts, tmp_path / "parts", should_stop=stop, encode=encode)
        steps.append(result.steps)
        if result.finished:
            break
    # What is relabelled is so for good: four chunks, or steps, in each piece.
    assert steps == [0, 0, 0, 4, 8, 10]
    assert same(tmp_path / "whole", tmp_path / "parts")
    assert not (tmp_path / "parts" / "training").exists()
    monkeypatch.delattr(relabelling, "CHUNK")  # a finished one needs no relabelling
    assert distill(config, experts, tmp_path / "parts", encode=encode).finished


def test_an_expert_that_learned_on_is_taught_anew(experts: list[Path], tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, steps=3)
    distill(config, experts, tmp_path / "out", encode=encode)
    expert = ExpertPolicy.load(experts[1])
    with torch.no_grad():
        expert.actor.layers[-1].bias += 0.1
    expert.save(experts[1])
    told: list[DistillProgress] = []
    distill(config, experts, tmp_path / "out", on_progress=told.append, encode=encode)
    assert told
    kept = RehearsalMemory.load(tmp_path / "out").lessons[1]
    assert kept.frames is not None
    expected = expert.act(kept.states[:5].numpy(), kept.frames.stacks(np.arange(5)).numpy())
    assert np.allclose(kept.actions[:5].numpy(), expected, atol=1e-6)


def test_batches_come_on_the_device_as_a_whole(experts: list[Path], tmp_path: Path) -> None:
    description, lessons = read_experts(experts)
    taught = relabel_actions(lessons, experts, tmp_path, torch.device("cpu"), None)
    assert taught
    batch = draw_batch(distillation_dataset(description, taught, encode), CONFIG, 0, None, "meta")
    assert {name: value.device.type for name, value in vars(batch).items()} == dict.fromkeys(vars(batch), "meta")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(experts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"device is cuda, but torch .* set it to auto or cpu"):
        distill(dataclasses.replace(CONFIG, device="cuda"), experts, tmp_path / "out", encode=encode)


def test_the_memory_keeps_each_frame_once_and_teaches_one_more_task(experts: list[Path], tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, steps=10, storage=40)
    distill(config, experts, tmp_path / "out", encode=encode)
    kept = RehearsalMemory.load(tmp_path / "out").lessons
    assert sum(len(lesson.states) for lesson in kept) == 40
    for lesson, folder in zip(kept, experts, strict=True):
        read = SeenStates(folder)
        assert lesson.frames is not None
        assert len(lesson.frames.store.frames) == len(np.unique(lesson.frames.places)) <= 2 * len(lesson.states)
        for row, state in enumerate(lesson.states.numpy()):
            index = np.flatnonzero((read.states == state).all(1))
            assert np.array_equal(lesson.frames.stacks(np.array([row])).numpy(), read.pictures(index))
    third = make_seeing_expert(tmp_path / "experts" / TASKS[2], 2)
    assert add_task(config, third, tmp_path / "out", encode=encode).finished
    assert UnifiedPolicy.load(tmp_path / "out").tasks == TASKS
    assert sum(len(lesson.states) for lesson in RehearsalMemory.load(tmp_path / "out").lessons) == 40


@pytest.mark.parametrize(
    ("sees", "states", "reason"),
    [
        (Pictures("camera", 20, 2), ("speed",), "sees 2 frames of 20 pixels.*sees 2 frames of 16 pixels"),
        (Pictures("camera", 16, 3), ("speed",), "sees 3 frames of 16"),
        (Pictures("wrist", 16, 2), ("speed",), "of camera 'wrist'"),
        (SEES, ("speed", "x"), "and speed, x, .*and speed:"),
        (SEES, (), "lacks speed"),
    ],
)
def test_experts_that_see_differently_are_refused(
    experts: list[Path], tmp_path: Path, sees: Pictures, states: tuple[str, ...], reason: str
) -> None:
    (experts[1] / "frames.u8").unlink()
    make_seeing_expert(experts[1], 1, sees, states)
    with pytest.raises(DistillError, match=reason):
        distill(CONFIG, experts, tmp_path / "out", encode=encode)


def test_one_that_sees_and_one_that_does_not_are_refused(experts: list[Path], tmp_path: Path) -> None:
    make_expert(experts[1], 1, embodiment={"state": UNITS, "cameras": [{"name": "camera"}]})
    with pytest.raises(DistillError, match="sees the state alone"):
        distill(CONFIG, experts, tmp_path / "out", encode=encode)


def test_missing_frames_are_named(experts: list[Path], tmp_path: Path) -> None:
    (experts[1] / "frames.u8").unlink()
    with pytest.raises(DistillError, match=r"right.*lacks frames"):
        distill(CONFIG, experts, tmp_path / "out", encode=encode)
