"""Experts without memory from the recurrent policy: what they are told, and what they are worth."""

import numpy as np
import pytest
import torch
from toy_stages import ToyStages

from polytask_trainer.agents.bc import CloningConfig
from polytask_trainer.auxdistill.config import AuxDistillConfig
from polytask_trainer.auxdistill.network import RecurrentPolicy
from polytask_trainer.auxdistill.students import StudentConfig, learn_experts, lesson, taught


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


def test_what_never_succeeds_is_refused_and_makes_no_expert(tmp_path):
    config = AuxDistillConfig("open-fridge", relevance="none", steps=8, num_envs=4, sequence=2, hidden=8)
    student = StudentConfig(num_envs=2, steps=2, rounds=1, hidden=(8,), cloning=CloningConfig(steps=1))
    with pytest.raises(ValueError, match="student of 'open-fridge' never succeeded"):
        learn_experts(config, "pocket_house", tmp_path, student=student, episodes=1)
    assert (tmp_path / "recurrent" / "checkpoint.json").is_file()
    assert not (tmp_path / "open-fridge" / "checkpoint.json").exists()
