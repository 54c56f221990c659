"""AuxDistill as a whole, on a toy of two stages: it learns, it resumes, and without distillation it is plain PPO."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from toy_stages import STAGES, ToyStages

from polytask_policy.checkpoint import load_checkpoint
from polytask_trainer.auxdistill.config import AuxDistillConfig
from polytask_trainer.auxdistill.evaluate import trials
from polytask_trainer.auxdistill.learn import learn_auxdistill
from polytask_trainer.auxdistill.network import RecurrentPolicy
from polytask_trainer.auxdistill.rollout import Player
from polytask_trainer.auxdistill.state import load_policy
from polytask_trainer.common.errors import ResumeError
from polytask_trainer.common.progress import LOG

TOY = AuxDistillConfig(
    "both", STAGES, STAGES, steps=4 * 96, num_envs=12, minibatches=2, sequence=8, hidden=16, restart=2
)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder)[0]


def same(one: Path, other: Path) -> bool:
    first, second = tensors(one), tensors(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def lines(folder: Path) -> list[dict]:
    read = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in read]


@pytest.mark.parametrize("relevance", ["oracle", "classifier", "value"])
def test_stopped_and_resumed_it_learns_the_same(tmp_path, relevance):
    config = dataclasses.replace(TOY, relevance=relevance, steps=5 * 96)
    whole = learn_auxdistill(config, ToyStages, tmp_path / "whole")
    assert (whole.finished, whole.steps) == (True, 480)
    seen = []
    stopped = learn_auxdistill(
        config, ToyStages, tmp_path / "parts", on_progress=seen.append, should_stop=lambda: len(seen) == 3
    )
    assert (stopped.finished, stopped.steps) == (False, 288)
    assert not (tmp_path / "parts" / "checkpoint.json").exists()
    assert learn_auxdistill(config, ToyStages, tmp_path / "parts", on_progress=seen.append).finished
    # The third update was done again: the state is of the second.
    assert [one["step"] for one in seen] == [96, 192, 288, 288, 384, 480]
    assert {"phase", "step", "total_steps", "episode_reward", "elapsed"} == set(seen[0])
    assert same(tmp_path / "whole", tmp_path / "parts")
    assert lines(tmp_path / "whole") == lines(tmp_path / "parts")
    again = learn_auxdistill(config, ToyStages, tmp_path / "parts", on_progress=seen.append)
    assert (again.finished, again.steps, len(seen)) == (True, 480, 6)
    with pytest.raises(ResumeError, match="other settings"):
        learn_auxdistill(dataclasses.replace(config, seed=1), ToyStages, tmp_path / "parts")


class NoStage(ToyStages):
    """The oracle never finds a stage that an auxiliary task trains."""

    def stage(self):
        return super().stage() * 0 + 2


def test_without_relevance_it_is_plain_ppo_bit_for_bit(tmp_path):
    blank = dataclasses.replace(TOY, stages=(*STAGES, ""))
    learn_auxdistill(blank, NoStage, tmp_path / "zero")
    learn_auxdistill(dataclasses.replace(TOY, relevance="none"), NoStage, tmp_path / "none")
    learn_auxdistill(blank, ToyStages, tmp_path / "some")
    assert same(tmp_path / "zero", tmp_path / "none")
    assert not same(tmp_path / "some", tmp_path / "none")


def test_an_episode_cut_by_its_horizon_is_credited_with_what_was_to_come():
    torch.manual_seed(0)
    policy = RecurrentPolicy(4, 2, 1, hidden=8)
    policy.value.bias.data[:] = 2.0
    env, task = ToyStages(["lever"]), torch.tensor([0])
    env.step = _always_cut(env.step)
    player = Player(env, task, torch.tensor([0.5]), torch.Generator().manual_seed(0))
    player.restart(policy, 0)
    rollout = player.play(policy, 3)
    assert rollout.reward.flatten().tolist() == [0.0, 0.5 * 2.0, 0.0]
    assert rollout.ended.flatten().tolist() == [False, True, False]
    assert rollout.begins.flatten().tolist() == [True, False, True]
    assert player.episodes == [(0, False, 0.0)]


def _always_cut(step):
    count = 0

    def cut(actions):
        nonlocal count
        count += 1
        observation, reward, _, truncated, info = step(actions)
        return observation, reward * 0, truncated & False, (truncated | True) & (count == 2), info

    return cut


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_distilled_auxiliary_tasks_do_what_the_same_ppo_does_not_find(tmp_path):
    sizes = {"steps": 45_000, "num_envs": 128, "sequence": 16, "hidden": 32, "learning_rate": 3e-3}
    found = {}
    for relevance in ("none", "oracle"):
        config = AuxDistillConfig("both", STAGES, STAGES, relevance=relevance, **sizes)
        assert learn_auxdistill(config, ToyStages, tmp_path / relevance).finished
        policy, tasks = load_policy(tmp_path / relevance)
        assert tasks == config.tasks
        tried = trials(policy, 0, "both", ToyStages, count=50, first=10_000)
        found[relevance] = tried.success.mean()
        assert (tried.stage[tried.success] == 1).all()
    assert found["none"] < 0.2
    assert found["oracle"] > 0.8
    line = json.loads((tmp_path / "oracle" / LOG).read_text().splitlines()[-1])
    assert set(line["ended"]) == {"both", *STAGES}
