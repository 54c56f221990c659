"""Policies that see: frames brought to size and stacked, experts saved and loaded, robots refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from polytask_policy.checkpoint import CheckpointError
from polytask_policy.expert import ExpertPolicy
from polytask_policy.networks import Actor
from polytask_policy.pixel_networks import PixelActor, PixelEncoder
from polytask_policy.policy_spec import Pictures, PolicySpec
from polytask_policy.view import FrameStack, View, fit

PICTURES = Pictures("camera", 20, 3)


@pytest.fixture
def expert(description: PolicySpec) -> ExpertPolicy:
    """An untrained expert that sees, and feels two entries of the state."""
    one = PolicySpec(
        "tabletop", ("box-open",), description.state_names[1:3], description.action_names, pictures=PICTURES
    )
    torch.manual_seed(0)
    return ExpertPolicy(
        PixelActor(PICTURES, 2, 4, (16, 16), 8), dataclasses.replace(one, instructions={"box-open": ()})
    )


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def test_a_loaded_expert_acts_as_the_saved_one(tmp_path: Path, expert: ExpertPolicy) -> None:
    expert.save(tmp_path)
    loaded = ExpertPolicy.load(tmp_path)
    state, pictures = np.ones((5, 2), dtype=np.float32), noise(5, 9, 20, 20)
    assert np.array_equal(expert.act(state, pictures), loaded.act(state, pictures))
    assert loaded.description == expert.description
    assert np.allclose(loaded.act(state[0], pictures[0]), loaded.act(state, pictures)[0], atol=1e-6)
    with pytest.raises(ValueError, match="needs pictures"):
        loaded.act(state)


def test_an_expert_takes_the_pictures_that_it_says(expert: ExpertPolicy) -> None:
    with pytest.raises(ValueError, match="does not take the pictures"):
        ExpertPolicy(Actor(2, 4), expert.description)
    other = dataclasses.replace(expert.description, pictures=dataclasses.replace(PICTURES, stack=1))
    with pytest.raises(ValueError, match="does not take the pictures"):
        ExpertPolicy(expert.actor, other)


def test_features_tell_pictures_apart_and_the_size_is_checked() -> None:
    encoder = PixelEncoder(PICTURES, 8)
    features = encoder(torch.from_numpy(noise(2, 4, 9, 20, 20)))
    assert features.shape == (2, 4, 8)
    assert float(features.detach().abs().max()) <= 1.0
    assert float(features.detach().std(dim=1).min()) > 0.0
    with pytest.raises(ValueError, match="too small"):
        PixelEncoder(Pictures("camera", 8, 1), 8)


def test_the_first_frame_of_an_episode_stands_in_for_those_before_it() -> None:
    frames, stack = noise(5, 3, 20, 20), FrameStack(PICTURES)
    for _ in range(2):
        stack.reset()
        seen = [stack.add(frame) for frame in frames]
        assert np.array_equal(seen[0], np.concatenate([frames[0]] * 3))
        assert np.array_equal(seen[1], np.concatenate([frames[0], frames[0], frames[1]]))
        assert np.array_equal(seen[4], np.concatenate(list(frames[2:5])))


def test_pictures_are_averaged_down_to_the_frame() -> None:
    picture = noise(40, 40, 3)
    frame = fit(picture, 20)
    wanted = picture.reshape(20, 2, 20, 2, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
    assert np.abs(frame - wanted).max() <= 0.5
    assert np.array_equal(fit(picture, 40), picture.transpose(2, 0, 1))


def test_a_view_picks_entries_by_name_and_wants_its_picture(expert: ExpertPolicy, description: PolicySpec) -> None:
    view = View(expert.description, description.state_names)
    state = np.arange(5, dtype=np.float32)
    seen, pictures = view(state, noise(40, 40, 3))
    assert seen.tolist() == [1.0, 2.0]
    assert pictures is not None
    assert pictures.shape == (9, 20, 20)
    with pytest.raises(ValueError, match="camera 'camera'"):
        view(state)
    with pytest.raises(ValueError, match="lacks"):
        View(expert.description, description.state_names[:1])
    without_camera = View(description, description.state_names)
    assert (view.camera, without_camera.camera) == ("camera", "")
    blind, nothing = without_camera(state)
    assert np.array_equal(blind, state)
    assert nothing is None


def test_a_robot_may_say_more_but_needs_the_camera(expert: ExpertPolicy, description: PolicySpec) -> None:
    expert.description.require_fit(description.state_names, description.action_names, ("camera",))
    with pytest.raises(CheckpointError, match="camera: the robot lacks 'camera'"):
        expert.description.require_fit(description.state_names, description.action_names)
    with pytest.raises(CheckpointError, match="state: the robot lacks"):
        expert.description.require_fit(description.state_names[:2], description.action_names, ("camera",))
