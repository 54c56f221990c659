"""Experts without memory from the recurrent policy: what they are told, and what they are worth."""

import dataclasses
from contextlib import closing

import numpy as np
import pytest
import torch
from toy_experts import Text, encode
from toy_stages import ToyStages

from polytask_policy.checkpoint import save_checkpoint
from polytask_policy.unified import UnifiedPolicy
from polytask_suites import make_env, scripted_expert
from polytask_trainer.agents.bc import CloningConfig
from polytask_trainer.auxdistill import students
from polytask_trainer.auxdistill.config import AuxDistillConfig
from polytask_trainer.auxdistill.network import RecurrentPolicy
from polytask_trainer.auxdistill.students import StudentConfig, learn_experts, lesson, taught, teach_expert
from polytask_trainer.distillation.config import DistillConfig
from polytask_trainer.distillation.distill import distill
from polytask_trainer.rollouts.evaluate import evaluate, evaluation_seeds


@pytest.fixture
def policy() -> RecurrentPolicy:
    torch.manual_seed(0)
    made = RecurrentPolicy(4, 2, 2, hidden=8)
    made.mean.weight.data *= 100.0  # so that its actions differ
    return made


class Backwards(torch.nn.Module):
    def forward(self, state):
        return torch.full((len(state), 2), -0.5)


def test_a_student_is_told_what_the_teacher_would_do_after_the_students_own_past(policy):
    states, actions = lesson(policy, 1, ToyStages(["both"] * 3), 7, 5, Backwards())
    assert (states.shape, actions.shape) == ((21, 4), (21, 2))
    sequence = torch.from_numpy(states.reshape(7, 3, 4))
    np.testing.assert_allclose(np.diff(sequence[:, :, 0], axis=0), -0.05, atol=1e-6)
    begins = torch.zeros(7, 3, dtype=torch.bool)
    with torch.no_grad():
        features, _ = policy.features(sequence, begins, policy.start(3))
        wanted = policy.action(features, torch.tensor([1, 1, 1]))[0].clamp(-1, 1)
    torch.testing.assert_close(torch.from_numpy(actions.reshape(7, 3, 2)), wanted)
    assert np.abs(actions).max() <= 1.0


class Teacher:
    """Walks to the lever and pulls there: needs no memory."""

    def start(self, count):
        return torch.zeros(count, 1)

    def features(self, observations, begins, hidden):
        return observations, hidden

    def action(self, features, task):
        away = features[..., 1] - features[..., 0]
        mean = torch.stack([10.0 * away, torch.where(away.abs() < 0.05, 1.0, -1.0)], -1)
        return mean, torch.zeros(2)


def test_a_student_learns_a_teacher_that_needs_no_memory():
    config = StudentConfig(num_envs=16, steps=20, rounds=2, hidden=(32,), cloning=CloningConfig(steps=800))
    student, states = taught(Teacher(), 0, ToyStages(["lever"] * 16), np.full(4, 0.1, np.float32), config)
    assert states.shape == (2 * 16 * 20, 4)
    env = ToyStages(["lever"] * 20)
    observation, _ = env.reset(seed=10_000)
    succeeded = np.zeros(20, bool)
    for _ in range(20):
        with torch.no_grad():
            observation, _, _, _, info = env.step(student(torch.from_numpy(observation)).numpy())
        succeeded |= info["success"]
    assert succeeded.mean() > 0.8


def test_all_tasks_are_taught_before_those_that_failed_are_named(tmp_path, monkeypatch):
    tasks, asked = ("rearrange-hard", "pick", "open-fridge"), []
    config = AuxDistillConfig(tasks[0], tasks[1:], relevance="none", steps=12, num_envs=6, minibatches=1, sequence=2)

    def teach(recurrent, suite, task, output, student, episodes):
        asked.append((task, student.seed))
        if task != "pick":
            raise students.TeachingError(task)
        save_checkpoint(output, {}, {})

    monkeypatch.setattr(students, "teach_expert", teach)
    for seed in (3, 3):
        named = r"no expert of rearrange-hard, open-fridge: .* another output folder. .* experts of pick$"
        with pytest.raises(students.TeachingError, match=named):
            learn_experts(dataclasses.replace(config, seed=seed), "pocket_house", tmp_path)
    # The second time it is known that pick has one.
    assert asked == [(task, 3) for task in (*tasks, "rearrange-hard", "open-fridge")]


def test_what_never_succeeds_is_refused_and_makes_no_expert(tmp_path):
    config = AuxDistillConfig("open-fridge", relevance="none", steps=8, num_envs=4, sequence=2, hidden=8)
    student = StudentConfig(num_envs=2, steps=2, rounds=1, hidden=(8,), cloning=CloningConfig(steps=1))
    with pytest.raises(students.TeachingError, match=r"no expert of open-fridge: .* experts of no task"):
        learn_experts(config, "pocket_house", tmp_path, student=student, episodes=1)
    assert (tmp_path / "recurrent" / "checkpoint.json").is_file()
    assert not (tmp_path / "open-fridge" / "checkpoint.json").exists()


class Shown:
    """The scripted experts of the house in place of a learned teacher."""

    def __init__(self, tasks):
        self.experts = [scripted_expert("pocket_house", task) for task in tasks]

    def start(self, count):
        return torch.zeros(count, 1)

    def features(self, observations, begins, hidden):
        return observations, hidden

    def action(self, features, task):
        rows = [self.experts[number](state) for state, number in zip(features.numpy(), task.tolist(), strict=True)]
        return torch.from_numpy(np.stack(rows)), torch.zeros(4)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_was_taught_is_distilled_and_does_what_it_is_asked_in_words(tmp_path, monkeypatch):
    tasks = ("open-fridge", "open-cabinet")
    monkeypatch.setattr(students, "load_policy", lambda folder: (Shown(tasks), tasks))
    student = StudentConfig(
        num_envs=24, steps=100, rounds=2, hidden=(64, 64), cloning=CloningConfig(steps=2000, batch_size=256)
    )
    for task in tasks:
        assert teach_expert(tmp_path, "pocket_house", task, tmp_path / task, student, episodes=10) >= 0.8
    config = DistillConfig(steps=1500, batch=256, hidden=(64, 64))
    distill(config, [tmp_path / task for task in tasks], tmp_path / "one", encode=encode)
    policy = UnifiedPolicy.load(tmp_path / "one", text=Text())
    for task, other in (tasks, tasks[::-1]):
        with closing(make_env("pocket_house", task)) as env:
            rates = []
            for asked in (task, other):
                goal = policy.goal_from_words(policy.description.instructions[asked][0])
                act = lambda state, goal=goal: policy.act(state, goal)  # noqa: E731
                rates.append(evaluate(act, env, evaluation_seeds(10)).rate)
        assert rates[0] >= 0.5
        assert rates[1] <= rates[0] - 0.4
