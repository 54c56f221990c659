"""Shared fixtures: one text model for all tests, and a small policy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from polytask_policy.goal_networks import GoalConditionedActor, GoalEncoder
from polytask_policy.pictures import shrink
from polytask_policy.policy_spec import PolicySpec
from polytask_policy.text import TextEncoder
from polytask_policy.unified import UnifiedPolicy

PictureMaker = Callable[..., NDArray[np.uint8]]

STATE_NAMES = ("grasp.x", "grasp.y", "drawer.opening", "gripper.opening", "lid.angle")
ACTION_NAMES = ("dx", "dy", "dz", "gripper")
INSTRUCTIONS = {
    "drawer-open": ("open the drawer", "pull the drawer open", "slide the drawer out", "make the drawer stick out"),
    "drawer-close": ("close the drawer", "push the drawer shut", "shut the drawer", "slide the drawer in"),
    "box-open": ("open the box", "lift the lid of the box", "raise the lid", "uncover the box"),
}


@pytest.fixture(scope="session")
def text() -> TextEncoder:
    """The text model, loaded once."""
    torch.set_num_threads(1)
    return TextEncoder()


@pytest.fixture
def description() -> PolicySpec:
    """A robot with five state entries and three tasks."""
    return PolicySpec("tabletop", tuple(INSTRUCTIONS), STATE_NAMES, ACTION_NAMES, INSTRUCTIONS)


def draw_picture(task: int, rng: np.random.Generator, side: int = 84) -> NDArray[np.uint8]:
    """A noisy picture uint8 (side, side, 3): one scene, with a bright square whose place tells the task."""
    ramp = np.linspace(40, 120, side)[:, None, None] + np.zeros((side, side, 3))
    row = side // 8 + task * side // 4
    ramp[row : row + side // 5, side // 3 : side // 2, task % 3] = 250
    return (ramp + rng.normal(0, 4, ramp.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture
def task_picture() -> PictureMaker:
    """The function that draws a task's goal picture."""
    return draw_picture


@pytest.fixture(scope="session")
def taught(text: TextEncoder) -> UnifiedPolicy:
    """A policy whose goal encoders were trained a little on three tasks; its actor was not."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    lines = [line for sentences in INSTRUCTIONS.values() for line in sentences]
    sentences, sentence_tasks = torch.from_numpy(text.encode(lines)), torch.arange(3).repeat_interleave(4)
    pictures = shrink(np.stack([draw_picture(task, rng) for task in range(3) for _ in range(6)]))
    picture_tasks = torch.arange(3).repeat_interleave(6)
    goals = GoalEncoder(384, 3)
    optimizer = torch.optim.Adam(goals.parameters(), 3e-3)
    tasks = torch.cat([sentence_tasks, picture_tasks])
    for _ in range(150):
        cosines = goals.similarities(torch.cat([goals.from_sentences(sentences), goals.from_pictures(pictures)]))
        loss = torch.nn.functional.cross_entropy(10 * cosines, tasks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    examples = {
        "sentences": sentences,
        "sentence_tasks": sentence_tasks,
        "pictures": (pictures * 255).round().to(torch.uint8),
        "picture_tasks": picture_tasks,
    }
    actor = GoalConditionedActor(len(STATE_NAMES), len(ACTION_NAMES), (32, 32))
    own = PolicySpec("tabletop", tuple(INSTRUCTIONS), STATE_NAMES, ACTION_NAMES, INSTRUCTIONS)
    return UnifiedPolicy(actor, goals, own, examples, text=text)
