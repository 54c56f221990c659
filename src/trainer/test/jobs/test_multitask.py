"""Methods by name, as jobs: what they write, and what they refuse."""

import json

import gymnasium
import numpy as np
import pytest
import yaml
from gymnasium import spaces
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from toy_experts import encode

from polytask_policy.expert import ExpertPolicy
from polytask_policy.unified import UnifiedPolicy
from polytask_trainer.auxdistill.students import TeachingError
from polytask_trainer.distillation.config import DistillConfig
from polytask_trainer.distillation.distill import distill
from polytask_trainer.jobs import multitask as methods
from polytask_trainer.jobs.execute import run
from polytask_trainer.jobs.resolve import settings_file
from polytask_trainer.jobs.spec import JobRefused, LearnJob, from_dict, to_dict
from polytask_trainer.rollouts.evaluate import training_seed
from polytask_trainer.rollouts.goal_rollouts import best_episodes, goal_pictures


def never():
    return False


def test_tasks_of_a_maze_are_learned_together_and_resume(tmp_path):
    job = LearnJob(
        "apart-a", "", str(tmp_path), suite="maze", steps=2000, method="ot_regularised", with_tasks=("apart-b",)
    )
    seen = []
    stopped = run(job, seen.append, lambda: bool(seen))
    assert (stopped["finished"], seen[0]["phase"]) == (False, "ot_regularised")
    log = tmp_path / "training" / "progress.jsonl"
    log.write_text(log.read_text() + '{"step": 99999}\n{"step": 17, "tor')  # of a round that will be done again
    done = run(job, seen.append, never)
    assert 0 < stopped["steps"] < done["steps"]
    assert (done["output"], done["message"][:10]) == ("", "no experts")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["step"] for line in lines] == [one["step"] for one in seen] == [1000, 2000]
    assert {"phase", "episode", "seconds", "episode_reward", "success"} <= lines[0].keys()
    assert [line["episode"] for line in lines] == [8, 16]  # two tasks, four environments each
    assert set(lines[0]["ended"]) == {"apart-a", "apart-b"}
    curves = EventAccumulator(str(tmp_path / "training" / "log")).Reload()
    for name in ("train/episode_reward", "train/success", "apart-b/success"):
        assert [point.step for point in curves.Scalars(name)] == [1000, 2000]


@pytest.mark.slow
def test_what_acts_continuously_becomes_run_folders_of_experts(tmp_path, monkeypatch):
    monkeypatch.setattr(methods, "TRIES", 1)
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        yaml.safe_dump({"environments": 1, "updates_per_step": 0.01, "sac": {"hidden": [8], "target_entropy": -6.0}})
    )
    job = LearnJob(
        "cheetah-run-80",
        "",
        str(tmp_path / "out"),
        suite="dmc",
        steps=500,
        settings=str(settings),
        method="distral",
        with_tasks=("cheetah-run-120",),
    )
    done = run(job, lambda report: None, never)
    assert (done["finished"], done["output"]) == (True, str(tmp_path / "out" / "cheetah-run-80"))
    assert "experts of cheetah-run-80, cheetah-run-120 in" in done["message"]
    tasks = ("cheetah-run-80", "cheetah-run-120")
    for task in tasks:
        expert = ExpertPolicy.load(tmp_path / "out" / task)
        states = np.load(tmp_path / "out" / task / "replay.npz")["states"]
        assert (expert.task, expert.act(states[0]).shape, states.shape) == (task, (6,), (500, 17))
    # None of them ever ran fast enough to succeed; even so they become one policy.
    distill(DistillConfig(steps=5), [tmp_path / "out" / task for task in tasks], tmp_path / "one", encode=encode)
    assert UnifiedPolicy.load(tmp_path / "one").description.tasks == tasks


class Away(gymnasium.Env):
    """Earns less the farther from 0 it starts; succeeds at its second step from ``near`` on inwards."""

    observation_space = spaces.Dict({"state": spaces.Box(-np.inf, np.inf, (1,), np.float32)})
    action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, near):
        self.near = near

    def reset(self, *, seed, options=None):
        self.place, self.steps = self.start(seed), 0
        return self.observe(False)

    @staticmethod
    def start(seed):
        return np.random.default_rng(seed).uniform(0.0, 1.0)

    def observe(self, success):
        return {"state": np.array([self.place], np.float32)}, {"success": success}

    def step(self, action):
        self.steps += 1
        state, info = self.observe(self.steps == 2 and self.place < self.near)
        return state, -self.place, False, self.steps == 4, info

    def render(self):
        return np.full((2, 2, 3), 10 * self.steps, np.uint8)


def test_pictures_are_of_successes_or_else_of_the_episodes_with_the_highest_returns():
    starts = [training_seed(3, number) for number in range(8)]
    best = sorted(starts, key=Away.start)
    half = Away((Away.start(best[1]) + Away.start(best[2])) / 2)
    found = best_episodes(lambda state: np.zeros(1, np.float32), half, 3, 5, 8)
    assert [one.start for one in found.rollouts] == [start for start in starts if start in best[:2]]
    assert goal_pictures(half, found.rollouts)[:, 0, 0, 0].tolist() == [20, 20]  # cut at the success
    never_there = best_episodes(lambda state: np.zeros(1, np.float32), Away(0.0), 3, 5, 8)
    assert [one.start for one in never_there.rollouts] == best[:5]
    assert goal_pictures(Away(0.0), never_there.rollouts)[:, 0, 0, 0].tolist() == [40] * 5
    assert never_there.states.shape == (8 * 4, 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"method": "magic"}, "there is no method 'magic'; there are: polytask, auxdistill"),
        ({"method": "distral", "through_topics": True}, "leave out through_topics"),
        ({"method": "distral"}, "name at least two"),
        ({"method": "auxdistill"}, "there is no maze_auxdistill"),
        ({"method": "distral", "with_tasks": ("nowhere",)}, "nowhere"),
    ],
)
def test_what_a_method_cannot_do_is_refused(tmp_path, changes, reason):
    with pytest.raises(JobRefused, match=reason):
        run(LearnJob("apart-a", "", str(tmp_path), suite="maze", **changes), lambda report: None, never)


STAGES = ("open-fridge", "open-cabinet", "pick-from-fridge", "pick", "place", "")


def test_auxdistill_takes_its_auxiliary_tasks_from_the_settings_or_the_job(tmp_path, monkeypatch):
    asked = []

    def record(config, suite, output, **callbacks):
        asked.append((config.main, config.auxiliaries, config.stages, config.seed, suite))
        raise TeachingError("no expert of pick")

    monkeypatch.setattr("polytask_trainer.auxdistill.students.learn_experts", record)
    job = {"task": "rearrange-hard", "demonstrations": "", "output": str(tmp_path), "suite": "pocket_house"}
    named = tuple(yaml.safe_load(settings_file("pocket_house_auxdistill", "").read_text())["auxiliaries"])
    few = ("pick", "place")
    for more in ({}, {"settings": "pocket_house_auxdistill", "seed": 3}, {"with_tasks": few}):
        with pytest.raises(JobRefused, match="no expert of pick"):
            run(LearnJob(**job, method="auxdistill", **more), lambda report: None, never)
    taken = tuple(stage if stage in few else "" for stage in STAGES)
    assert asked == [
        ("rearrange-hard", named, STAGES, 0, "pocket_house"),
        ("rearrange-hard", named, STAGES, 3, "pocket_house"),
        ("rearrange-hard", few, taken, 0, "pocket_house"),
    ]
    with pytest.raises(JobRefused, match="which auxiliary task trains which stage"):
        run(LearnJob(**job, method="auxdistill", with_tasks=("rearrange-easy",)), lambda report: None, never)


def test_auxiliary_losses_weighted_online_are_chosen_by_name():
    plain, ours = (yaml.safe_load(settings_file(name, "").read_text()) for name in ("pixels-48", "pixels-48-ol-aux"))
    assert ours["pictures"].pop("auxiliary") == {"combine": "ol_aux", "horizon": 5}
    assert ours == plain


def test_a_job_is_the_same_after_its_way_to_the_worker():
    job = LearnJob("a", "", "out", method="distral", with_tasks=("b", "c"))
    assert from_dict(to_dict(job)) == job
    assert from_dict({**to_dict(job), "with_tasks": ["b", "c"]}) == job
