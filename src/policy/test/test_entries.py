"""Checkpoints under right checksums whose entries cannot be meant: refused in a sentence that names the entry."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch

from polytask_policy.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from polytask_policy.expert import ExpertPolicy
from polytask_policy.goal_networks import GoalConditionedActor, GoalEncoder
from polytask_policy.networks import Actor
from polytask_policy.policy_spec import PolicySpec
from polytask_policy.unified import UnifiedPolicy


@pytest.fixture
def policy() -> UnifiedPolicy:
    """One that was taught nothing, of two tasks."""
    torch.manual_seed(0)
    examples = {
        "sentences": torch.eye(2, 384),
        "sentence_tasks": torch.arange(2),
        "pictures": torch.zeros(2, 3, 42, 42, dtype=torch.uint8),
        "picture_tasks": torch.arange(2),
    }
    tasks = ("drawer-open", "box-open")
    description = PolicySpec("toy", tasks, ("x", "y"), ("dx",), {"drawer-open": ("open it",)})
    return UnifiedPolicy(GoalConditionedActor(2, 1, (8,)), GoalEncoder(384, 2), description, examples)


def changed(meta: dict[str, Any], entry: str, value: Any) -> dict[str, Any]:
    """``meta`` with another value at ``entry``, dots between names."""
    name, _, rest = entry.partition(".")
    return {**meta, name: changed(meta[name], rest, value) if rest else value}


WRONG = [
    (entry, value)
    for entry, values in {
        "suite": [5, None, ["tabletop"], "x" * 300],
        "tasks": [[], "drawer-open", [1, 2, 3], ["a", "a"], ["a\nb"], [""], ["x" * 201], {"a": 1}, 3, None],
        "state_names": [[], [None], "grasp.x", {}],
        "action_names": [[], [["dx"]], 4],
        "instructions": [[], {"drawer-open": "open it"}, {"drawer-open": [5]}, None],
        "descriptions": [5, {"drawer-open": 5}],
        "embodiment": [[], "tabletop", None],
        "pictures": [
            [],
            {"camera": "eye"},
            {"camera": 5, "size": 84, "stack": 3},
            {"camera": "e", "size": 1e9, "stack": 3},
        ],
        "network": [None, [8], {}],
        "network.hidden": [[8] * 200_000, [0], [-8], [8.0], ["8"], [True], [10**12], 8, None],
        "limits": [[], {}, None],
        "limits.words_similarity": [8.62, "0.62", None, True, [0.6]],
        "limits.picture_margin": [-5, 1e300],
    }.items()
    for value in values
]


@pytest.mark.parametrize(("entry", "value"), WRONG)
def test_a_policy_with_a_wrong_entry_is_refused_at_once(
    policy: UnifiedPolicy, tmp_path: Path, entry: str, value: Any
) -> None:
    policy.save(tmp_path)
    tensors, meta = load_checkpoint(tmp_path)
    save_checkpoint(tmp_path, tensors, changed(meta, entry, value))
    began = time.process_time()
    with pytest.raises(CheckpointError, match=entry) as refused:
        UnifiedPolicy.load(tmp_path)
    assert time.process_time() - began < 1.0
    assert len(str(refused.value)) < 400
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("entry", ["suite", "tasks", "embodiment", "network", "limits", "limits.picture_margin"])
def test_a_policy_without_an_entry_is_refused(policy: UnifiedPolicy, tmp_path: Path, entry: str) -> None:
    policy.save(tmp_path)
    tensors, meta = load_checkpoint(tmp_path)
    name, _, rest = entry.partition(".")
    del (meta[name] if rest else meta)[rest or name]
    save_checkpoint(tmp_path, tensors, meta)
    with pytest.raises(CheckpointError, match=f"lacks an entry: '{entry}'"):
        UnifiedPolicy.load(tmp_path)


def test_an_entry_that_is_nested_too_deeply_is_refused(policy: UnifiedPolicy, tmp_path: Path) -> None:
    policy.save(tmp_path)
    tensors, meta = load_checkpoint(tmp_path)
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"a": deep}
    save_checkpoint(tmp_path, tensors, {**meta, "embodiment": deep})
    with pytest.raises(CheckpointError, match="nested too deeply"):
        UnifiedPolicy.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("actor.layers.0.weight", lambda t: t.index_fill(0, torch.tensor([0]), float("nan")), "not finite"),
        ("goals.task.weight", lambda t: t * float("inf"), "not finite"),
        ("actor.layers.0.weight", lambda t: t.double(), "not float32"),
        ("actor.normaliser.scale", lambda t: t * 0, "not positive"),
        ("actor.normaliser.scale", lambda t: -t, "not positive"),
        ("examples.sentences", lambda t: t * float("nan"), "must be finite"),
        ("examples.sentences", lambda t: t[:, :100], r"shape \(N, 384\)"),
        ("examples.pictures", lambda t: t.float(), "torch.uint8"),
        ("examples.pictures", lambda t: t[0], r"shape \(N, 3, 42, 42\)"),
        ("examples.sentence_tasks", lambda t: t + 1, "none of the policy's"),
        ("examples.sentence_tasks", lambda t: t[:-1], "one for each"),
        ("examples.picture_tasks", lambda t: t.float(), "int64"),
    ],
)
def test_tensors_that_cannot_be_meant_are_refused(
    policy: UnifiedPolicy, tmp_path: Path, name: str, change: Any, reason: str
) -> None:
    policy.save(tmp_path)
    tensors, meta = load_checkpoint(tmp_path)
    save_checkpoint(tmp_path, {**tensors, name: change(tensors[name])}, meta)
    with pytest.raises(CheckpointError, match=reason) as refused:
        UnifiedPolicy.load(tmp_path)
    assert name in str(refused.value)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("network.hidden", [8] * 200_000),
        ("network.hidden", [10**9]),
        ("network.state_size", 10**9),
        ("network.action_size", "4"),
        ("tasks", []),
        ("suite", 5),
    ],
)
def test_an_expert_with_a_wrong_entry_is_refused(tmp_path: Path, entry: str, value: Any) -> None:
    names = ("x", "y")
    ExpertPolicy(Actor(2, 1, (8,)), PolicySpec("toy", ("go",), names, ("dx",))).save(tmp_path)
    tensors, meta = load_checkpoint(tmp_path)
    save_checkpoint(tmp_path, tensors, changed(meta, entry, value))
    with pytest.raises(CheckpointError, match=entry):
        ExpertPolicy.load(tmp_path)
    broken = {**tensors, "layers.0.weight": tensors["layers.0.weight"] * float("nan")}
    save_checkpoint(tmp_path, broken, meta)
    with pytest.raises(CheckpointError, match=r"'layers\.0\.weight' has values that are not finite"):
        ExpertPolicy.load(tmp_path)
