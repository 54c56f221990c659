"""`evaluate --video`: a GIF of what the policy did, from the start that was judged."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from polytask_cli.cli import app
from polytask_cli.video.evaluation import caption, write_video
from polytask_cli.video.montage import DONE, FAILED, HEADER, SIZE
from polytask_policy.expert import ExpertPolicy
from polytask_policy.networks import Actor
from polytask_robot_io.embodiment import Embodiment
from polytask_suites import EMBODIMENTS, make_env
from polytask_trainer.experts.spec import describe


@pytest.fixture
def house(tmp_path):
    """Run folder of an expert of the house that has learned nothing."""
    description = describe("pocket_house", "pick", Embodiment.load(EMBODIMENTS["pocket_house"]))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        actor = Actor(len(description.state_names), len(description.action_names), (8,))
    ExpertPolicy(actor, description).save(tmp_path / "expert")
    return tmp_path / "expert"


def played(task: str, seed: int, actions: list[list[float]], success: bool) -> dict[str, object]:
    failed = [] if success else [seed]
    return {"task": task, "goal": "task", "first_seed": seed, "failed_seeds": failed, "actions": actions}


@pytest.mark.slow
def test_a_policy_of_the_house_is_shown_in_a_video_by_the_command(house, tmp_path):
    video = tmp_path / "house.gif"
    result = CliRunner().invoke(app, ["evaluate", str(house), "--episodes", "2", "--video", str(video)])
    assert result.exit_code == 0, result.output
    image = Image.open(video)
    assert image.size == (SIZE[0], SIZE[1] + HEADER)
    env = make_env("pocket_house", "pick")
    # Without a success (it has learned nothing) there is a picture before each step, and one of the end.
    assert image.n_frames == env.get_wrapper_attr("horizon") + 1
    assert image.info["duration"] == 1000 / env.get_wrapper_attr("control_rate")
    env.reset(seed=10_000)
    first = Image.fromarray(env.unwrapped.render(2 * SIZE[0], 2 * SIZE[1])).resize(SIZE, Image.Resampling.LANCZOS)
    shown = np.asarray(image.convert("RGB"), dtype=int)[HEADER:]
    assert np.abs(shown - np.asarray(first, dtype=int)).mean() < 5.0, "it begins at the first start that is judged"


def test_seven_tasks_are_in_two_rows_and_the_frame_says_how_each_ended(tmp_path):
    policy = {"suite": "pocket_house", "kind": "unified"}
    actions = [[0.0, 0.0, 0.0, 1.0]] * 3
    results = [played("pick", seed, actions, success=seed != 3) for seed in range(7)]
    write_video(tmp_path / "video.gif", policy, results)
    image = Image.open(tmp_path / "video.gif")
    assert image.size == (5 * (SIZE[0] + 6) - 6, 2 * (SIZE[1] + HEADER))
    image.seek(image.n_frames - 1)
    last = np.asarray(image.convert("RGB"), dtype=int)
    for number in range(7):
        corner = last[number // 5 * (SIZE[1] + HEADER) + HEADER + 1, number % 5 * (SIZE[0] + 6) + SIZE[0] // 2]
        assert np.abs(corner - (FAILED if number == 3 else DONE)).max() < 40, number


@pytest.mark.parametrize(
    ("kind", "goal", "said"),
    [
        ("expert", "task", "“take it”"),
        ("unified", "words", "“take it”"),
        ("unified", "task", "by name: pick"),
        ("unified", "none", "no goal: pick"),
    ],
)
def test_what_was_asked_stands_above(kind, goal, said):
    policy = {"kind": kind, "instructions": {"pick": ["take it", "pick it up"]}}
    assert caption(policy, {"task": "pick", "goal": goal}) == said
    assert caption({"kind": "expert", "instructions": {}}, {"task": "pick", "goal": "task"}) == "pick"


@pytest.mark.parametrize("name", ["video.mp4", "nowhere/video.gif"])
def test_a_video_that_cannot_be_written_is_refused_before_anything_is_tried(house, tmp_path, name):
    result = CliRunner().invoke(app, ["evaluate", str(house), "--video", str(tmp_path / name)])
    assert result.exit_code == 1
    assert "cannot be the video" in result.output
