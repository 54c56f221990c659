"""How goals are understood, and which are refused with what reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from polytask_policy.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from polytask_policy.goals import UnknownGoal, quoted
from polytask_policy.unified import UnifiedPolicy


@pytest.mark.parametrize(
    ("words", "task"),
    [
        ("open the drawer", "drawer-open"),
        ("  Please OPEN the drawer!  ", "drawer-open"),
        ("could you push the drawer back until it is shut?", "drawer-close"),
        ("lift up the lid", "box-open"),
    ],
)
def test_taught_and_reworded_sentences_are_understood(taught: UnifiedPolicy, words: str, task: str) -> None:
    goal = taught.goal_from_words(words)
    assert (goal.kind, goal.task) == ("words", task)
    assert goal.embedding.shape == (64,)
    assert 0.6 < goal.similarity <= 1


@pytest.mark.parametrize(
    "words",
    ["make me a coffee", "asdf qwer", "what time is it", "play some music", "мама мыла раму", "close your eyes", "x"],
)
def test_unrelated_words_are_refused_with_a_suggestion(taught: UnifiedPolicy, words: str) -> None:
    with pytest.raises(UnknownGoal, match="like nothing") as refused:
        taught.goal_from_words(words)
    assert "Say for example 'open the drawer'" in refused.value.reason
    assert refused.value.task in taught.tasks
    assert words in refused.value.reason


@pytest.mark.parametrize("words", ["the drawer", "move the drawer"])
def test_words_that_could_mean_two_tasks_are_refused(taught: UnifiedPolicy, words: str) -> None:
    with pytest.raises(UnknownGoal, match=r"drawer-(open|close) or drawer-(open|close)"):
        taught.goal_from_words(words)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("", "empty"),
        ("   \n\t", "empty"),
        ("12345", "no words"),
        ("?!", "no words"),
        ("a " * 300, "characters"),
        ("do not open the box", "'not'"),
        ("Don't pull the drawer open!", "\"?Don't"),
        ("never open the box", "never"),
        ("\ud800 coffee", "like nothing"),
    ],
)
def test_what_is_no_sentence_is_refused(taught: UnifiedPolicy, words: str, reason: str) -> None:
    with pytest.raises(UnknownGoal, match=reason):
        taught.goal_from_words(words)


def test_task_names_are_exact_and_near_ones_suggested(taught: UnifiedPolicy) -> None:
    goal = taught.goal_from_task("drawer-close")
    assert (goal.kind, goal.task, goal.similarity) == ("task", "drawer-close", 1.0)
    with pytest.raises(UnknownGoal, match="did you mean drawer-open"):
        taught.goal_from_task("Drawer_Open")
    with pytest.raises(UnknownGoal, match="did you mean box-open"):
        taught.goal_from_task("box-opn")
    with pytest.raises(UnknownGoal, match="taught are drawer-open, drawer-close, box-open"):
        taught.goal_from_task("xyzzy")


def test_a_name_of_any_length_is_refused_at_once(taught: UnifiedPolicy) -> None:
    began = time.process_time()
    with pytest.raises(UnknownGoal, match="a task's name of 10000000 characters; taught are drawer-open") as refused:
        taught.goal_from_task("drawer-" * 1_428_571 + "xyz")
    assert time.process_time() - began < 1.0
    assert len(refused.value.reason) < 200


def test_text_is_quoted_in_one_line_that_can_be_printed() -> None:
    assert quoted("öffne 打开") == "'öffne 打开'"
    assert quoted("\x1b[31m\n\u202e\ud800") == r"'\x1b[31m\n\u202e\ud800'"
    assert quoted("a" * 101) == f"'{'a' * 100}…' (101 characters)"


def test_pictures_of_the_result_are_understood(taught: UnifiedPolicy, task_picture: Callable[..., np.ndarray]) -> None:
    rng = np.random.default_rng(5)
    for task, name in enumerate(taught.tasks):
        for side in (84, 336):
            goal = taught.goal_from_image(task_picture(task, rng, side))
            assert (goal.kind, goal.task) == ("image", name)
            assert 0.8 < goal.similarity <= 1


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros((0, 0, 3), np.uint8), "0x0"),
        (np.zeros((84, 84), np.uint8), "shape"),
        (np.zeros((84, 84, 4), np.uint8), "shape"),
        (np.zeros((84, 84, 3), np.float32), "dtype"),
        (np.full((84, 84, 3), np.nan), "dtype"),
        (np.zeros((3, 84, 84), np.uint8), "shape"),
        (np.zeros((84, 1, 3), np.uint8), "1x84"),
        ([[1, 2, 3]], "list"),
        (None, "NoneType"),
        (np.zeros((84, 84, 3), np.uint8), "like nothing"),
        (np.full((84, 84, 3), 255, np.uint8), "like nothing"),
        (np.full((84, 84, 3), (90, 200, 20), np.uint8), "like nothing"),
        (np.random.default_rng(0).integers(0, 255, (84, 84, 3), np.uint8), "like nothing"),
    ],
)
def test_malformed_blank_and_foreign_pictures_are_refused(taught: UnifiedPolicy, picture: object, reason: str) -> None:
    with pytest.raises(UnknownGoal, match=reason):
        taught.goal_from_image(picture)  # type: ignore[arg-type]


def test_no_goal_is_the_zero_vector(taught: UnifiedPolicy) -> None:
    goal = taught.no_goal()
    assert (goal.kind, goal.task, goal.similarity) == ("none", "", 0.0)
    assert not goal.embedding.any()


def test_a_loaded_policy_understands_and_acts_as_the_saved_one(
    taught: UnifiedPolicy, task_picture: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    taught.save(tmp_path, steps=3)
    loaded = UnifiedPolicy.load(tmp_path, taught.text)
    state = np.linspace(-1, 1, 5, dtype=np.float32)
    for one, other in [
        (taught.goal_from_words("raise the lid"), loaded.goal_from_words("raise the lid")),
        (taught.goal_from_task("drawer-open"), loaded.goal_from_task("drawer-open")),
        (
            taught.goal_from_image(task_picture(1, np.random.default_rng(3))),
            loaded.goal_from_image(task_picture(1, np.random.default_rng(3))),
        ),
    ]:
        assert np.array_equal(one.embedding, other.embedding)
        assert (one.task, one.similarity) == (other.task, other.similarity)
        assert np.array_equal(taught.act(state, one), loaded.act(state, other))
    assert loaded.description == taught.description
    assert loaded.limits == taught.limits


def test_names_and_pictures_need_no_text_model(
    taught: UnifiedPolicy, task_picture: Callable[..., np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from polytask_policy import text
    from polytask_policy.text import TextModelError

    taught.save(tmp_path)
    monkeypatch.setattr(text, "_WHEEL_MODULE", "no_such_wheel")
    loaded = UnifiedPolicy.load(tmp_path)
    assert loaded.goal_from_task("box-open").task == "box-open"
    assert loaded.goal_from_image(task_picture(2, np.random.default_rng(1))).task == "box-open"
    with pytest.raises(TextModelError, match="pip install"):
        loaded.goal_from_words("open the box")


def test_a_checkpoint_that_contradicts_itself_is_refused(taught: UnifiedPolicy, tmp_path: Path) -> None:
    taught.save(tmp_path)
    tensors, meta = load_checkpoint(tmp_path)
    save_checkpoint(tmp_path, tensors, {**meta, "tasks": [*meta["tasks"], "one-more"]})
    with pytest.raises(CheckpointError, match="does not fit its own description"):
        UnifiedPolicy.load(tmp_path)
    del tensors["examples.sentence_tasks"]
    save_checkpoint(tmp_path, tensors, meta)
    with pytest.raises(CheckpointError, match="sentence_tasks"):
        UnifiedPolicy.load(tmp_path)
    save_checkpoint(tmp_path, {**tensors, "stray": torch.zeros(1)}, meta)
    with pytest.raises(CheckpointError):
        UnifiedPolicy.load(tmp_path)
