"""From demonstrations with pictures to a cloned policy that sees: what it takes of them, and behaviour cloning."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from polytask_policy.description import Description, Pictures
from polytask_policy.expert import ExpertPolicy
from polytask_policy.pixel_networks import PixelActor
from polytask_policy.view import fit
from polytask_trainer.agents.bc import state_scales
from polytask_trainer.agents.drqv2 import Seen, random_shift
from polytask_trainer.cloning import units
from polytask_trainer.config import LearnConfig
from polytask_trainer.episodes import Demonstration
from polytask_trainer.pixel_config import PictureConfig
from polytask_trainer.rewards.encoded import Watched


def seeing(description: Description, config: PictureConfig) -> Description:
    """What a policy with these settings takes of the robot that ``description`` names. Raises ValueError."""
    cameras = [camera["name"] for camera in description.embodiment.get("cameras", ())]
    camera = config.camera or next(iter(cameras), "")
    if camera not in cameras:
        raise ValueError(f"the embodiment has no camera '{camera}'; it has: {', '.join(cameras) or 'none'}")
    pictures = Pictures(camera, config.size, config.stack)
    return dataclasses.replace(description, state_names=config.state, pictures=pictures)


def watched(demonstration: Demonstration, description: Description, columns: Sequence[int]) -> Watched:
    """What a policy sees of a recorded episode, read with its pictures. Raises ValueError without them."""
    assert description.pictures is not None
    images: Mapping[str, NDArray[np.uint8]] = getattr(demonstration, "images", {})
    camera = description.pictures.camera
    if camera not in images:
        raise ValueError(f"a demonstration has no pictures of camera '{camera}': record it with its camera")
    frames = np.stack([fit(picture, description.pictures.size) for picture in images[camera]])
    return Watched(demonstration.state[:, list(columns)].astype(np.float32), frames)


def seen_pairs(demonstrations: Sequence[tuple[Watched, NDArray[np.float32]]], stack: int) -> Seen:
    """Stack demonstrations, each what was seen and its actions (T, k), into pairs."""
    return Seen(
        np.concatenate([one.states[: len(actions)] for one, actions in demonstrations]),
        np.concatenate([one.stacks(stack)[: len(actions)] for one, actions in demonstrations]),
        np.concatenate([actions for _, actions in demonstrations]),
    )


def clone_pixel_actor(config: LearnConfig, shown: Seen, description: Description) -> PixelActor:
    """Return an actor, on the CPU, trained on pairs; the same arguments on the same device give the same actor.

    Pictures are shifted at random and the state is given noise, so that the policy does not cling to where a single
    demonstration happened.
    """
    assert config.pictures is not None
    assert description.pictures is not None
    device, cloning = config.pictures.torch_device(), config.cloning
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        sizes = (shown.states.shape[1], shown.actions.shape[1], config.agent.hidden)
        encoder = (config.pictures.feature, config.pictures.strides)
        actor = PixelActor(description.pictures, *sizes, *encoder)
    generator = torch.Generator().manual_seed(config.seed)
    states, frames, actions = (torch.from_numpy(one) for one in (shown.states, shown.pictures, shown.actions))
    scales = torch.from_numpy(state_scales(units(description)))
    actor.normaliser.set(states.mean(0), scales)
    actor.to(device)
    optimizer = torch.optim.Adam(actor.parameters(), lr=cloning.learning_rate, fused=True)
    for _ in range(cloning.steps):
        index = torch.randint(len(states), (cloning.batch_size,), generator=generator)
        own = states[index]
        own = own + config.pictures.state_noise * scales * torch.randn(own.shape, generator=generator)
        seen = random_shift(frames[index].to(device), generator)
        loss = (actor(own.to(device), seen) - actions[index].to(device)).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return actor.cpu()


def clone_pixel_expert(config: LearnConfig, demonstrations: Sequence[Any], description: Description) -> ExpertPolicy:
    """Return the policy cloned from demonstrations with pictures, without RL: the control of a pixel expert.

    ``description`` is that of the robot's whole state.
    """
    assert config.pictures is not None
    seen = seeing(description, config.pictures)
    columns = seen.columns(description.state_names)
    shown = seen_pairs([(watched(one, seen, columns), one.action) for one in demonstrations], config.pictures.stack)
    return ExpertPolicy(clone_pixel_actor(config, shown, seen), seen)
