"""Learning from pictures: run folder, same seed same expert, resumed after a kill, processes that end."""

from __future__ import annotations

import copy
import itertools
import json
import multiprocessing
import os
import signal
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toy_point
from numpy.typing import NDArray
from toy_sight import CAMERA, DESCRIPTION, SeenPoint, demonstration, small

from polytask_policy.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from polytask_policy.expert import ExpertPolicy
from polytask_policy.view import View
from polytask_trainer.common.trajectory import Trajectory
from polytask_trainer.experts import pixels
from polytask_trainer.experts.learn import LearnResult, learn_expert
from polytask_trainer.replay.pixels import SeenStates
from polytask_trainer.rollouts import actor_processes as actors
from polytask_trainer.rollouts.actor_processes import ActorError
from polytask_trainer.rollouts.evaluate import EVALUATION_SEEDS, evaluate, evaluation_seeds, in_episode


def learn(output: Path, **options: Any) -> LearnResult:
    torch.set_num_threads(1)
    config = options.pop("config", small())
    return learn_expert(config, options.pop("env", SeenPoint), [demonstration()], DESCRIPTION, output, **options)


def same(one: Path, two: Path) -> bool:
    a, b = (ExpertPolicy.load(folder).actor.state_dict() for folder in (one, two))
    x, y = (SeenStates(folder) for folder in (one, two))
    every = np.arange(len(x.states))
    if not np.array_equal(x.states, y.states):
        return False
    return all(torch.equal(a[k], b[k]) for k in a) and np.array_equal(x.pictures(every), y.pictures(every))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("expert")
    assert learn(folder).finished
    return folder


def test_the_run_folder_holds_what_others_need(finished: Path) -> None:
    expert = ExpertPolicy.load(finished)
    assert expert.description.pictures is not None
    assert (expert.description.pictures.camera, expert.description.state_names) == (CAMERA, ("v.x", "v.y"))
    seen = SeenStates(finished)
    assert seen.states.shape[0] >= 200
    assert seen.states.shape[1] == 2
    pictures = seen.pictures(np.arange(len(seen.states)))
    assert pictures.shape == (len(seen.states), 6, 16, 16)
    assert pictures.max() > 100
    actions = expert.act(seen.states, pictures)
    assert actions.shape == (len(seen.states), 2)
    with np.load(finished / "goal_images.npz", allow_pickle=False) as data:
        assert data["images"].shape == (3, 32, 32, 3)
    lines = [json.loads(line) for line in (finished / "progress.jsonl").read_text().splitlines()]
    assert [line["episode"] for line in lines] == list(range(1, len(lines) + 1))
    for name in ("updates_per_s", "frames_per_s", "learner_busy", "actors_busy"):
        assert lines[-1][name] > 0.0
    assert lines[-1]["device"] == "cpu"
    assert max(lines[-1]["learner_busy"], lines[-1]["actors_busy"]) <= 1.0


def test_an_expert_that_sees_is_evaluated_by_what_it_sees(finished: Path) -> None:
    expert = ExpertPolicy.load(finished)
    env = SeenPoint()
    shown = evaluate(in_episode(expert.act, expert.description, env), env, evaluation_seeds(1), horizon=5)
    state, view = env.reset(seed=EVALUATION_SEEDS)[0]["state"], View(expert.description, env.state_names)
    total = 0.0
    for _ in range(5):
        observation, reward, *_ = env.step(expert.act(*view(state, env.render())))
        state, total = observation["state"], total + reward
    assert shown.returns == pytest.approx((total,))


def test_stopped_and_resumed_it_gives_the_same_expert(finished: Path, tmp_path: Path) -> None:
    told = 0

    def stop() -> bool:
        return told == 4

    def tell(report: dict[str, Any]) -> None:
        nonlocal told
        told += 1

    assert not learn(tmp_path, should_stop=stop, on_progress=tell).finished
    assert learn(tmp_path).finished
    assert same(finished, tmp_path)


@pytest.mark.slow
def test_in_pieces_shorter_than_its_cloning_it_gives_the_same_expert(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors, "PATIENCE", 60.0)  # pieces are counted in what was done, not in waiting
    stops = []
    for _ in range(9):
        calls = itertools.count()
        result = learn(tmp_path, should_stop=lambda calls=calls: next(calls) >= 40)  # type: ignore[misc]
        if result.finished:
            break
        known = has_checkpoint(tmp_path / "training")
        stops.append(load_checkpoint(tmp_path / "training")[1]["pending_updates"] if known else "cloning")
    assert result.finished
    assert stops[:2] == ["cloning", "cloning"]
    assert max(stops[2:]) > 0  # in the midst of an episode's updates
    assert same(finished, tmp_path)
    lines = [[json.loads(line)["step"] for line in (one / "progress.jsonl").open()] for one in (finished, tmp_path)]
    assert lines[0] == lines[1]
    assert not (tmp_path / "training").exists()  # nor is there any use for it


def test_it_stops_while_it_waits_for_an_episode(tmp_path: Path) -> None:
    calls = itertools.count()
    cloned = small().cloning.steps
    assert not learn(tmp_path, should_stop=lambda: next(calls) > cloned).finished
    assert not (tmp_path / "progress.jsonl").read_text()
    assert (tmp_path / "training" / "checkpoint.json").exists()


@pytest.mark.slow
def test_resumed_when_the_ring_of_frames_has_wrapped_it_gives_the_same_expert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room for writing is what a stopped training may have overwritten since its state was saved."""
    monkeypatch.setattr(pixels, "MARGIN", 4)
    config = small(pictures={**asdict(small())["pictures"], "capacity": 90}, checkpoint_seconds=1e6)
    told = 0

    def tell(report: dict[str, Any]) -> None:
        nonlocal told
        told += 1
        if told == 7:
            raise KeyboardInterrupt  # between two saved states

    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "resumed", config=config, on_progress=tell)
    learn(tmp_path / "resumed", config=config)
    learn(tmp_path / "whole", config=config)
    assert same(tmp_path / "resumed", tmp_path / "whole")
    assert len(SeenStates(tmp_path / "whole").states) < 200


def test_a_refresh_of_the_target_encoder_changes_what_episodes_are_matched_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[NDArray[np.float32]] = []
    match_on = pixels.EncodedReward._match_on

    def spy(self: pixels.EncodedReward, features: Any) -> None:
        match_on(self, features)
        [shown] = self._demonstrations
        assert shown.images is not None
        back = Trajectory(shown.states[::-1].copy(), shown.actions, images=shown.images[::-1].copy())
        found.append(copy.copy(self)(back))

    monkeypatch.setattr(pixels.EncodedReward, "_match_on", spy)
    pictures = {**asdict(small())["pictures"], "target_every": 100}
    learn(tmp_path, config=small(pictures=pictures, steps=101))
    begun, refreshed = found
    assert np.abs(refreshed / refreshed.mean() - begun / begun.mean()).max() > 1e-3  # whatever their scales are


class SlowPoint(SeenPoint):
    """Leaves time for a kill."""

    def reset(self, **options: Any) -> Any:
        time.sleep(0.3)
        return super().reset(**options)


def _learn_slowly(output: Path) -> None:
    torch.set_num_threads(1)
    learn_expert(small(checkpoint_seconds=0.0), SlowPoint, [demonstration()], DESCRIPTION, output)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
def test_killed_it_resumes_to_the_same_expert_and_its_processes_end(finished: Path, tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_learn_slowly, args=(tmp_path,))
    process.start()
    assert process.pid is not None
    progress, deadline = tmp_path / "progress.jsonl", time.monotonic() + 60
    while time.monotonic() < deadline and not (progress.exists() and progress.read_text().count("\n") >= 4):
        time.sleep(0.02)
    actors = _children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert actors
    while time.monotonic() < deadline and any(Path(f"/proc/{pid}/status").exists() for pid in actors):
        time.sleep(0.02)
    assert not any(Path(f"/proc/{pid}/status").exists() for pid in actors)
    learn(tmp_path)
    assert same(finished, tmp_path)


@pytest.mark.slow
def test_pictures_alone_do_with_all_that_a_gpu_is_asked_for(tmp_path: Path, device: str) -> None:
    """As in pixels-84, in small and in two pieces: no state, two actors, half precision, captured graphs."""
    as_there = {"state": (), "stack": 3, "actors": 2, "bf16": True, "compiled": True, "device": device}
    config = small(pictures={**asdict(small())["pictures"], **as_there}, steps=160)
    told = list[dict[str, Any]]()
    first = learn(tmp_path, config=config, on_progress=told.append, should_stop=lambda: len(told) == 6)
    assert not first.finished
    assert learn(tmp_path, config=config).finished
    lines = [json.loads(line) for line in (tmp_path / "progress.jsonl").open()]
    assert [line["episode"] for line in lines] == list(range(1, len(lines) + 1))
    assert (lines[-1]["device"] == "cpu") == (device == "cpu")
    seen = SeenStates(tmp_path)
    assert seen.states.shape[1] == 0
    actions = ExpertPolicy.load(tmp_path).act(seen.states[:2], seen.pictures(np.arange(2)))
    assert np.isfinite(actions).all()


def test_a_training_goes_on_on_another_kind_of_device(tmp_path: Path) -> None:
    told = list[dict[str, Any]]()
    assert not learn(tmp_path, on_progress=told.append, should_stop=lambda: len(told) == 4).finished
    tensors, meta = load_checkpoint(tmp_path / "training")
    tensors["generator"] = torch.zeros(16, dtype=torch.uint8)  # as long as a GPU's
    save_checkpoint(tmp_path / "training", tensors, meta)
    assert learn(tmp_path).finished


def test_a_training_that_an_earlier_version_stopped_goes_on(finished: Path, tmp_path: Path) -> None:
    """Two networks and the pending updates had other names."""
    told = list[dict[str, Any]]()
    assert not learn(tmp_path, on_progress=told.append, should_stop=lambda: len(told) == 4).finished
    tensors, meta = load_checkpoint(tmp_path / "training")
    former = {"target_encoder": "watcher", "actor_snapshots": "acting"}
    parts = {name: name.partition(".") for name in tensors}
    tensors = {former.get(parts[n][0], parts[n][0]) + "".join(parts[n][1:]): value for n, value in tensors.items()}
    assert any(name.startswith("watcher.") for name in tensors)
    meta["owed"] = meta.pop("pending_updates")
    save_checkpoint(tmp_path / "training", tensors, meta)
    assert learn(tmp_path).finished
    assert same(finished, tmp_path)


class Broken(SeenPoint):
    """An environment that fails."""

    def step(self, action: Any) -> Any:
        raise RuntimeError("the motor is broken")


def test_a_failing_environment_is_told_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(ActorError, match="the motor is broken"):
        learn(tmp_path, env=Broken)


def test_a_demonstration_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no pictures of camera 'camera'"):
        learn_expert(small(), SeenPoint, [toy_point.demonstration()], DESCRIPTION, tmp_path)
    with pytest.raises(ValueError, match="has no camera ''"):
        learn_expert(small(), SeenPoint, [demonstration()], toy_point.DESCRIPTION, tmp_path)
