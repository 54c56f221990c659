"""A new task of the toy point is learned with a unified policy's help; online, the policy itself learns it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_experts import encode
from toy_point import DESCRIPTION, PointEnv, demonstration, script, small

from polytask_policy.checkpoint import load_checkpoint, save_checkpoint
from polytask_policy.expert import ExpertPolicy
from polytask_policy.unified import UnifiedPolicy
from polytask_trainer.common.errors import ResumeError
from polytask_trainer.common.trajectory import Trajectory
from polytask_trainer.distillation.config import DistillConfig
from polytask_trainer.distillation.dataset import DistillError
from polytask_trainer.distillation.distill import distill
from polytask_trainer.experts.cloning import clone_actor
from polytask_trainer.experts.learn import LearnResult, learn_expert
from polytask_trainer.lifelong import start, warm_start
from polytask_trainer.lifelong.add_task import add_task, copy_policy
from polytask_trainer.lifelong.learn import learn_from
from polytask_trainer.lifelong.start import fitted_goal
from polytask_trainer.lifelong.warm_start import WarmStart

TEACHING = DistillConfig(steps=150, batch=64, pictures=4, hidden=(32, 32), learning_rate=3e-3)
STATES = np.random.default_rng(3).uniform(-0.3, 0.3, (200, 4)).astype(np.float32)


def scripted_expert(folder: Path, task: str, sign: float) -> Path:
    """Write the run folder of an expert that goes home (sign 1) or flees from it (-1)."""
    description = dataclasses.replace(DESCRIPTION, tasks=(task,), instructions={task: (f"go {task}",)})
    actions = np.stack([sign * script(state) for state in STATES]).astype(np.float32)
    shown = Trajectory(np.concatenate([STATES, STATES[:1]]), actions)
    actor = clone_actor(small(cloning={"steps": 400, "batch_size": 64}), [shown], description)
    ExpertPolicy(actor, description).save(folder)
    np.savez(folder / "replay.npz", states=STATES)
    pictures = np.full((3, 84, 84, 3), 60, np.uint8)
    pictures[:, :, : 40 + int(20 * sign)] = 200
    np.savez(folder / "goal_images.npz", images=pictures)
    return folder


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "GOAL_STEPS", 40)
    monkeypatch.setattr(start, "CLONING_STEPS", 40)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that can go somewhere near home, and away from it."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("taught")
    experts = [scripted_expert(folder / "experts" / task, task, sign) for task, sign in (("away", -1.0), ("near", 1.0))]
    distill(TEACHING, experts, folder / "unified", encode=encode)
    return folder / "unified"


def learn(policy: Path, output: Path, **options: Any) -> LearnResult:
    settings = options.pop("settings", {})
    config = small(**settings)
    return learn_from(policy, config, PointEnv, [demonstration()], DESCRIPTION, output, encode=encode, **options)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return ExpertPolicy.load(folder).actor.state_dict()


def same(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return all(torch.equal(a[name], b[name]) for name in a)


def error_in(policy: UnifiedPolicy, task: str, sign: float) -> float:
    """Mean difference from what the task's script does."""
    goal = policy.goal_from_task(task)
    return float(np.mean([np.abs(policy.act(state, goal) - sign * script(state)).mean() for state in STATES[:50]]))


# Too little cloning to go home without help.
BRIEF = {"steps": 600, "cloning": {"steps": 3, "batch_size": 32}}


def test_what_went_well_of_the_policy_s_trials_is_imitated_and_they_are_the_first_episodes(
    taught: Path, tmp_path: Path
) -> None:
    learn(taught, tmp_path / "helped", settings=BRIEF)
    trials = load_checkpoint(tmp_path / "helped" / "start")[1]["trials"]
    # One of each, two of the best three, six of the best.
    assert [one["by"] for one in trials[:4]] == ["away", "near", "its own words", "nothing"]
    better = sorted(trials[:4], key=lambda one: -one["matched"])[:3]
    assert [one["by"] for one in trials[4:10]] == [one["by"] for one in better for _ in range(2)]
    assert [one["by"] for one in trials[10:]] == ["near"] * 6
    assert trials[-1]["matched"] >= warm_start.GOOD > max(one["matched"] for one in trials if one["by"] == "nothing")
    lines = [json.loads(line) for line in (tmp_path / "helped" / "progress.jsonl").read_text().splitlines()]
    for line, one in zip(lines, trials, strict=False):
        assert (line["phase"], line["episode_reward"]) == ("seed", pytest.approx(one["matched"], abs=2e-3))
    assert lines[len(trials)]["phase"] == "rl"


def test_where_nothing_fits_little_is_tried_and_nothing_of_it_imitated(tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    distill(TEACHING, [scripted_expert(tmp_path / "expert", "away", -1.0)], policy, encode=encode)
    learn(policy, tmp_path / "alone", settings={**BRIEF, "steps": 1})
    trials = load_checkpoint(tmp_path / "alone" / "start")[1]["trials"]
    assert len(trials) == 3 + 3 * 2
    assert max(one["matched"] for one in trials) < warm_start.GOOD
    learn_expert(small(**{**BRIEF, "steps": 1}), PointEnv, [demonstration()], DESCRIPTION, tmp_path / "cold")
    assert same(tmp_path / "alone", tmp_path / "cold")


def test_fewer_and_fewer_examples_are_imitated_and_in_the_end_the_demonstrations_alone(
    taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm_start, "FADE", 200)
    drawn: list[tuple[int, int]] = []
    pairs_at = WarmStart.pairs_at

    def spy(self: WarmStart, step: int) -> int:
        drawn.append((step, pairs_at(self, step)))
        assert len(self.examples) >= 2
        return drawn[-1][1]

    monkeypatch.setattr(WarmStart, "pairs_at", spy)
    learn(taught, tmp_path, settings={"steps": 260})
    rows = [imitated for _, imitated in drawn]
    assert rows == sorted(rows, reverse=True)
    assert rows[0] > 2 * rows[-1]
    assert {imitated for step, imitated in drawn if step >= 200} == {len(demonstration().action)}


def test_the_best_examples_are_imitated_longest() -> None:
    def steps(count: int) -> Trajectory:
        return Trajectory(np.zeros((count + 1, 4), np.float32), np.zeros((count, 2), np.float32))

    warm = WarmStart(trials=[], demonstrations=[steps(20)], examples=[steps(30), steps(10)])
    assert [warm.pairs_at(step) for step in (0, 1500, 3000, 9000)] == [60, 40, 20, 20]
    assert [len(one.actions) for one in warm.imitated] == [20, 30, 10]


def test_a_fitted_goal_mixes_what_was_taught(taught: Path) -> None:
    actor = UnifiedPolicy.load(taught).actor
    away = torch.from_numpy(UnifiedPolicy.load(taught).goal_from_task("away").embedding)
    home = np.stack([script(state) for state in STATES])
    before = [parameter.clone() for parameter in actor.parameters()]
    goal = fitted_goal(actor, away, STATES[:20], home[:20])
    with torch.no_grad():
        errors = [(actor(torch.from_numpy(STATES), one) - torch.from_numpy(home)).abs().mean() for one in (away, goal)]
    assert errors[1] < 0.5 * errors[0]
    assert all(torch.equal(*pair) for pair in zip(before, actor.parameters(), strict=True))


def test_stopped_and_resumed_it_gives_the_same_expert_whatever_became_of_the_policy(
    taught: Path, tmp_path: Path
) -> None:
    copy_policy(taught, tmp_path / "policy")
    assert learn(tmp_path / "policy", tmp_path / "whole").finished
    calls = iter(range(100))
    assert not learn(tmp_path / "policy", tmp_path / "parts", should_stop=lambda: next(calls) >= 4).finished
    distill(
        dataclasses.replace(TEACHING, steps=1, seed=5),
        [scripted_expert(tmp_path / "far", "far", 1.0)],
        tmp_path / "policy",
        encode=encode,
    )
    assert learn(tmp_path / "policy", tmp_path / "parts").finished
    assert same(tmp_path / "whole", tmp_path / "parts")


def test_stopped_between_the_updates_of_an_episode_it_goes_on_with_as_many_examples(
    taught: Path, tmp_path: Path
) -> None:
    settings = {**BRIEF, "steps": 800}
    assert learn(taught, tmp_path / "whole", settings=settings).finished
    told, calls = list[dict[str, Any]](), 0

    def stop() -> bool:
        nonlocal calls
        calls += told[-1]["phase"] == "rl"
        return calls > 9

    assert not learn(taught, tmp_path / "parts", settings=settings, on_progress=told.append, should_stop=stop).finished
    assert load_checkpoint(tmp_path / "parts" / "training")[1]["pending_updates"] > 0
    assert learn(taught, tmp_path / "parts", settings=settings).finished
    assert same(tmp_path / "whole", tmp_path / "parts")


def test_the_trials_of_an_earlier_version_are_refused(taught: Path, tmp_path: Path) -> None:
    assert not learn(taught, tmp_path, should_stop=lambda: True).finished
    tensors, meta = load_checkpoint(tmp_path / "start")
    del tensors["lengths"]
    save_checkpoint(tmp_path / "start", tensors, meta)
    with pytest.raises(ResumeError, match="earlier version"):
        learn(taught, tmp_path)


def test_a_training_that_was_begun_online_is_not_taken_for_a_warm_one(taught: Path, tmp_path: Path) -> None:
    learn(taught, tmp_path, online=True, should_stop=lambda: True)
    with pytest.raises(ResumeError):
        learn(taught, tmp_path)


def test_a_cold_training_is_not_taken_for_a_warm_one(taught: Path, tmp_path: Path) -> None:
    learn_expert(small(), PointEnv, [demonstration()], DESCRIPTION, tmp_path)
    with pytest.raises(ResumeError):
        learn(taught, tmp_path)


def test_online_the_policy_learns_the_task_remembers_the_others_and_takes_over(taught: Path, tmp_path: Path) -> None:
    policy, expert = tmp_path / "policy", tmp_path / "expert"
    copy_policy(taught, policy)
    before = [error_in(UnifiedPolicy.load(policy), task, sign) for task, sign in (("away", -1.0), ("near", 1.0))]
    calls = iter(range(100))
    assert not learn(policy, expert, online=True, should_stop=lambda: next(calls) >= 4).finished
    assert learn(policy, expert, online=True).finished
    learn(policy, tmp_path / "whole", online=True)
    assert same(expert, tmp_path / "whole")
    assert load_checkpoint(expert / "start")[1]["goal"] == "near"
    # An expert like any other; the policy itself has not changed yet.
    assert ExpertPolicy.load(expert).actor.hidden == (32, 32)
    assert UnifiedPolicy.load(policy).tasks == ("away", "near")
    # The first step already finds what RL made of the networks.
    add_task(dataclasses.replace(TEACHING, steps=1, learning_rate=1e-9), expert, policy, encode=encode)
    learned = UnifiedPolicy.load(policy)
    assert learned.tasks == ("away", "near", "home")
    own = ExpertPolicy.load(expert)
    goal = learned.goal_from_task("home")
    assert np.allclose([learned.act(s, goal) for s in STATES[:20]], own.act(STATES[:20]), atol=1e-3)
    after = [error_in(learned, task, sign) for task, sign in (("away", -1.0), ("near", 1.0))]
    assert max(after) < max(before) + 0.05
    # Asked again, all is done; begun elsewhere, the task is known already.
    assert learn(policy, expert, online=True).finished
    with pytest.raises(DistillError, match="'home' is taught already"):
        learn(policy, tmp_path / "again", online=True)


def test_online_an_unfinished_training_does_not_go_on_with_another_policy(taught: Path, tmp_path: Path) -> None:
    copy_policy(taught, tmp_path / "policy")
    assert not learn(tmp_path / "policy", tmp_path / "expert", online=True, should_stop=lambda: True).finished
    far = scripted_expert(tmp_path / "far", "far", 1.0)
    add_task(dataclasses.replace(TEACHING, steps=1), far, tmp_path / "policy", encode=encode)
    with pytest.raises(ResumeError, match="has learned something else"):
        learn(tmp_path / "policy", tmp_path / "expert", online=True)


def test_a_policy_of_another_robot_is_refused(taught: Path, tmp_path: Path) -> None:
    other = dataclasses.replace(DESCRIPTION, suite="other")
    with pytest.raises(DistillError, match="suite 'other'"):
        learn_from(taught, small(), PointEnv, [demonstration()], other, tmp_path, encode=encode)
    assert not (tmp_path / "start").exists()
