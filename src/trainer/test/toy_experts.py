"""Run folders of made-up experts of a point that goes left, right or stays, and a stand-in for the text model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from polytask_policy.checkpoint import load_checkpoint
from polytask_policy.expert import ExpertPolicy
from polytask_policy.networks import Actor
from polytask_policy.policy_spec import PolicySpec
from polytask_trainer.distillation.config import DistillConfig

TASKS = ("left", "right", "stay")
STATES = ("x", "y", "speed")
ACTIONS = ("push", "lift")
UNITS = [{"name": name, "unit": "1"} for name in STATES]
CONFIG = DistillConfig(steps=60, batch=32, pictures=6, hidden=(32, 32), save_every=25, report_every=10)


def encode(sentences: Sequence[str]) -> NDArray[np.float32]:
    """Stand in for the text model: a fixed random unit vector for each word, added up."""
    rows = []
    for sentence in sentences:
        words = [np.random.default_rng(list(word.encode())).normal(size=384) for word in sentence.lower().split()]
        rows.append(np.sum(words, axis=0) / np.linalg.norm(np.sum(words, axis=0)))
    return np.asarray(rows, dtype=np.float32)


class Text:
    """The stand-in as a TextEncoder."""

    def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """Encode."""
        return encode(sentences)


def picture(task: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a scene with a bright square at the task's place."""
    scene = np.linspace(30, 120, 84)[:, None, None] + rng.normal(0, 5, (84, 84, 3))
    scene[10 + 25 * task : 28 + 25 * task, 30:50, task] = 250
    return scene.clip(0, 255).astype(np.uint8)


def make_expert(folder: Path, task: int, **changes: object) -> Path:
    """Write the run folder of an expert whose first action is -0.8, 0.8 or 0 by task."""
    with torch.random.fork_rng():
        torch.manual_seed(task)
        actor = Actor(3, 2, (8,))
    with torch.no_grad():
        actor.layers[-1].weight.mul_(0.1)
        actor.layers[-1].bias.copy_(torch.tensor([(-1.1, 1.1, 0.0)[task], 0.2]))
    name = TASKS[task]
    fields = {
        "suite": "line",
        "tasks": (name,),
        "state_names": STATES,
        "action_names": ACTIONS,
        "instructions": {name: (f"go {name}", f"please {name} now", f"move {name}")},
        "embodiment": {"name": "point", "state": UNITS},
    }
    ExpertPolicy(actor, PolicySpec(**{**fields, **changes})).save(folder)  # type: ignore[arg-type]
    rng = np.random.default_rng(task)
    np.savez(folder / "replay.npz", states=rng.normal(size=(200 + task, 3)).astype(np.float32))
    np.savez(folder / "goal_images.npz", images=np.stack([picture(task, rng) for _ in range(5 + task)]))
    return folder


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    """Read the policy's tensors."""
    return load_checkpoint(folder, "unified")[0]


def same(one: Path, other: Path) -> bool:
    """Tell whether two policies are equal to the last bit."""
    first, second = tensors_of(one), tensors_of(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
