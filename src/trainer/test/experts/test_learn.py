import json
import multiprocessing
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from toy_point import DESCRIPTION, PointEnv, demonstration, small

from polytask_policy.expert import ExpertPolicy
from polytask_trainer.agents.written_out import WrittenOut
from polytask_trainer.common.errors import ResumeError
from polytask_trainer.experts.config import LearnConfig
from polytask_trainer.experts.learn import LearnResult, learn_expert
from polytask_trainer.rollouts.evaluate import evaluate, evaluation_seeds


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def learn(output: Path, config: LearnConfig | None = None, **options: Any) -> LearnResult:
    return learn_expert(config or small(), PointEnv, [demonstration()], DESCRIPTION, output, **options)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return ExpertPolicy.load(folder).actor.state_dict()


def same(one: Path, two: Path) -> bool:
    a, b = weights(one), weights(two)
    with np.load(one / "replay.npz") as x, np.load(two / "replay.npz") as y:
        return all(torch.equal(a[k], b[k]) for k in a) and np.array_equal(x["states"], y["states"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("expert")
    assert learn(folder).finished
    return folder


def test_the_run_folder_holds_what_others_need(finished: Path) -> None:
    expert = ExpertPolicy.load(finished)
    assert expert.task == "home"
    with np.load(finished / "replay.npz", allow_pickle=False) as data:
        assert data["states"].dtype == np.float32
        assert data["states"].shape[0] >= 200
        assert data["states"].shape[1] == 4
    with np.load(finished / "goal_images.npz", allow_pickle=False) as data:
        assert data["images"].dtype == np.uint8
        assert data["images"].shape == (3, 84, 84, 3)
    lines = [json.loads(line) for line in (finished / "progress.jsonl").read_text().splitlines()]
    assert [line["episode"] for line in lines] == list(range(1, len(lines) + 1))
    assert [line["phase"] for line in lines[:4]] == ["seed", "seed", "seed", "rl"]
    assert list((finished / "log").glob("events.*"))


def test_the_same_seed_gives_the_same_expert_and_another_seed_another(finished: Path, tmp_path: Path) -> None:
    learn(tmp_path / "again")
    assert same(finished, tmp_path / "again")
    learn(tmp_path / "other", small(seed=1))
    assert not same(finished, tmp_path / "other")


def test_stopped_and_resumed_it_gives_the_same_expert(finished: Path, tmp_path: Path) -> None:
    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls % 3 == 0 and calls < 12

    sessions = 0
    while not learn(tmp_path, should_stop=stop).finished:
        sessions += 1
    assert sessions >= 2
    assert same(finished, tmp_path)
    assert (tmp_path / "progress.jsonl").read_text().count("\n") == (finished / "progress.jsonl").read_text().count(
        "\n"
    )


def _learn_slowly(folder: Path) -> None:
    torch.set_num_threads(1)
    learn(folder, small(checkpoint_seconds=0.0), on_progress=lambda _: time.sleep(0.05))


@pytest.mark.slow
def test_killed_at_any_moment_it_resumes_to_the_same_expert(finished: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for lines in (2, 5):
        process = context.Process(target=_learn_slowly, args=(tmp_path,))
        process.start()
        progress, deadline = tmp_path / "progress.jsonl", time.monotonic() + 60
        while time.monotonic() < deadline and not (progress.exists() and progress.read_text().count("\n") >= lines):
            time.sleep(0.01)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    learn(tmp_path)
    assert same(finished, tmp_path)


def test_a_finished_run_does_not_learn_again(finished: Path) -> None:
    before = (finished / "checkpoint.json").read_bytes()
    phases: list[str] = []
    result = learn(finished, on_progress=lambda info: phases.append(info["phase"]))
    assert result.finished
    assert result.steps >= 200
    assert phases == []
    assert (finished / "checkpoint.json").read_bytes() == before


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    learn(tmp_path, on_progress=told.append)
    assert list(dict.fromkeys(info["phase"] for info in told)) == ["bc", "seed", "rl", "pictures"]
    assert told[-1]["step"] >= told[-1]["total_steps"] == 200


@pytest.mark.slow
def test_it_learns_from_one_demonstration_where_cloning_does_not_suffice(tmp_path: Path) -> None:
    learn(tmp_path, small(steps=3000))
    assert evaluate(ExpertPolicy.load(tmp_path).act, PointEnv(), evaluation_seeds(20)).rate >= 0.9


def test_environment_reward_needs_no_features(tmp_path: Path) -> None:
    class Bare(PointEnv):
        tasks = {"home": SimpleNamespace(name="home", features=())}  # noqa: RUF012

    learn_expert(small(reward="environment", steps=100), Bare, [demonstration()], DESCRIPTION, tmp_path)


def test_success_has_no_say(finished: Path, tmp_path: Path) -> None:
    class Silent(PointEnv):
        def step(self, action: Any) -> Any:
            observation, _, terminated, truncated, _ = super().step(action)
            return observation, 0.0, terminated, truncated, {"success": False, "message": ""}

    learn_expert(small(), Silent, [demonstration()], DESCRIPTION, tmp_path)
    assert same(finished, tmp_path)


def test_other_settings_do_not_resume_a_run(finished: Path) -> None:
    with pytest.raises(ResumeError, match="other settings or demonstrations"):
        learn(finished, small(steps=300))


def test_bad_demonstrations_are_refused(tmp_path: Path) -> None:
    good = demonstration()
    short = SimpleNamespace(state=good.state[:, :3], action=good.action)
    broken = SimpleNamespace(state=np.full_like(good.state, np.nan), action=good.action)
    for demos, words in (([], "no demonstration"), ([good, short], "demonstration 1 has states"), ([broken], "finite")):
        with pytest.raises(ValueError, match=words):
            learn_expert(small(), PointEnv, demos, DESCRIPTION, tmp_path)


def test_a_broken_simulation_leaves_no_trace(tmp_path: Path) -> None:
    """A simulator gave out speeds of 1e5 m/s before it gave up; the critic never came back from those two states."""

    class Broken(PointEnv):
        episodes = 0

        def reset(self, **options: Any) -> Any:
            self.episodes += 1
            return super().reset(**options)

        def step(self, action: Any) -> Any:
            observation, reward, terminated, truncated, info = super().step(action)
            if self.episodes % 4 == 0 and self.steps > 9:
                observation["state"][2:] = 1e5
                truncated = self.steps > 11
            return observation, reward, terminated, truncated, info

    learn_expert(small(), Broken, [demonstration()], DESCRIPTION, tmp_path)
    with np.load(tmp_path / "replay.npz") as data:
        assert np.abs(data["states"]).max() < 5.0


def test_an_environment_that_gives_up_at_once_is_no_endless_loop(tmp_path: Path) -> None:
    class Dead(PointEnv):
        def step(self, action: Any) -> Any:
            observation, reward, terminated, _, info = super().step(action)
            return observation, reward, terminated, True, info

    with pytest.raises(RuntimeError, match="gave up at the first step"):
        learn_expert(small(), Dead, [demonstration()], DESCRIPTION, tmp_path)


def test_the_best_matching_actor_is_kept_when_learning_goes_wrong_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half way through, the actor and its average are wrecked; the expert is the one remembered from before."""
    update, calls = WrittenOut.update, 0

    def wrecked(self: WrittenOut, *arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 600:
            for parameter in (*self.actor.layers.parameters(), *self.average.layers.parameters()):
                parameter.data.fill_(0.3)
        return update(self, *arguments, **options)

    monkeypatch.setattr(WrittenOut, "update", wrecked)
    learn(tmp_path, small(steps=1200, best_of=4))
    assert calls > 600
    layers = [tensor for name, tensor in weights(tmp_path).items() if name.endswith("weight")]
    assert all(float((layer - 0.3).abs().max()) > 0.1 for layer in layers)
