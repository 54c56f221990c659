"""From demonstrations with pictures to a cloned policy that sees: what it takes of them, and behaviour cloning."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from polytask_policy.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from polytask_policy.expert import ExpertPolicy
from polytask_policy.pixel_networks import PixelActor
from polytask_policy.policy_spec import Pictures, PolicySpec
from polytask_policy.view import fit
from polytask_trainer.agents.bc import pairs
from polytask_trainer.agents.drqv2 import Seen
from polytask_trainer.agents.pixel_config import PictureConfig
from polytask_trainer.common.errors import other_training
from polytask_trainer.common.optimizer_state import load_moments, moments, under
from polytask_trainer.common.scales import state_scales, units
from polytask_trainer.common.trajectory import Trajectory
from polytask_trainer.experts.config import LearnConfig
from polytask_trainer.replay.augment import random_shift
from polytask_trainer.replay.frame_store import frame_stacks
from polytask_trainer.rollouts.episode import Demonstration

CLONING = "cloning"
"""Folder in a training's state, and kind of checkpoint."""


def seeing(description: PolicySpec, config: PictureConfig) -> PolicySpec:
    """What a policy with these settings takes of the robot that ``description`` names. Raises ValueError."""
    cameras = [camera["name"] for camera in description.embodiment.get("cameras", ())]
    camera = config.camera or next(iter(cameras), "")
    if camera not in cameras:
        raise ValueError(f"the embodiment has no camera '{camera}'; it has: {', '.join(cameras) or 'none'}")
    pictures = Pictures(camera, config.size, config.stack)
    return dataclasses.replace(description, state_names=config.state, pictures=pictures)


def image_trajectory(demonstration: Demonstration, description: PolicySpec, columns: Sequence[int]) -> Trajectory:
    """What an image-based policy takes of a recorded episode: some columns of its states, and its camera's frames.

    Raises ValueError where it was read without pictures.
    """
    assert description.pictures is not None
    images: Mapping[str, NDArray[np.uint8]] = getattr(demonstration, "images", {})
    camera = description.pictures.camera
    if camera not in images:
        raise ValueError(f"a demonstration has no pictures of camera '{camera}': record it with its camera")
    frames = np.stack([fit(picture, description.pictures.size) for picture in images[camera]])
    states = demonstration.state[:, list(columns)].astype(np.float32)
    return Trajectory(states, demonstration.action.astype(np.float32), images=frames)


def seen_pairs(demonstrations: Sequence[Trajectory], stack: int) -> Seen:
    """Stack demonstrations with their images into pairs."""
    frames = [frame_stacks(one.images, stack)[: len(one.actions)] for one in demonstrations if one.images is not None]
    states, actions = pairs(demonstrations)
    return Seen(states, np.concatenate(frames), actions)


class Kept:
    """The folder of a cloning that can be stopped: what the next step depends on, and in the end the clone."""

    def __init__(self, folder: Path, identity: str, should_stop: Callable[[], bool]) -> None:
        """``identity`` is that of the training that the clone is for."""
        self.folder, self.identity, self.should_stop = folder, identity, should_stop

    def load(self, actor: PixelActor, optimizer: torch.optim.Optimizer, generator: torch.Generator) -> int:
        """Restore everything in place; return the steps made so far. Raises ResumeError."""
        if not has_checkpoint(self.folder):
            return 0
        tensors, meta = load_checkpoint(self.folder, CLONING)
        if meta["identity"] != self.identity:
            raise other_training(self.folder.parent)
        actor.load_state_dict(under(tensors, "actor"))
        load_moments(optimizer, under(tensors, "moments"))
        generator.set_state(tensors["generator"])
        return int(meta["step"])

    def save(self, actor: PixelActor, optimizer: torch.optim.Optimizer, generator: torch.Generator, step: int) -> None:
        """Write what ``load`` reads."""
        tensors = {f"actor.{name}": value for name, value in actor.state_dict().items()}
        tensors |= {f"moments.{name}": value for name, value in moments(optimizer).items()}
        tensors["generator"] = generator.get_state()
        save_checkpoint(self.folder, tensors, {"kind": CLONING, "identity": self.identity, "step": step})


def clone_pixel_actor(
    config: LearnConfig, shown: Seen, description: PolicySpec, kept: Kept | None = None
) -> PixelActor | None:
    """Return an actor, on the CPU, trained on pairs; the same arguments on the same device give the same actor.

    Pictures are shifted at random and the state is given noise, so that the policy does not cling to where a single
    demonstration happened. With ``kept`` it carries on where it was stopped or killed; None: stopped. Raises
    ResumeError where that folder is another training's.
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
    frames, actions = frames.to(device), actions.to(device)
    optimizer = torch.optim.Adam(actor.parameters(), lr=cloning.learning_rate, fused=True)
    begun = step = kept.load(actor, optimizer, generator) if kept else 0
    saved = time.monotonic()
    while step < cloning.steps:
        stop = kept is not None and kept.should_stop()
        if kept and (stop or time.monotonic() - saved > config.checkpoint_seconds):
            kept.save(actor, optimizer, generator, step)
            saved = time.monotonic()
        if stop:
            return None
        index = torch.randint(len(states), (cloning.batch_size,), generator=generator)
        own = states[index]
        own = own + config.pictures.state_noise * scales * torch.randn(own.shape, generator=generator)
        index = index.to(device)
        seen = random_shift(frames[index], generator)
        loss = (actor(own.to(device), seen) - actions[index]).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
    if kept and step > begun:
        kept.save(actor, optimizer, generator, step)
    return actor.cpu()


def clone_pixel_expert(config: LearnConfig, demonstrations: Sequence[Any], description: PolicySpec) -> ExpertPolicy:
    """Return the policy cloned from demonstrations with pictures, without RL: the control of a pixel expert.

    ``description`` is that of the robot's whole state.
    """
    assert config.pictures is not None
    seen = seeing(description, config.pictures)
    columns = seen.columns(description.state_names)
    shown = seen_pairs([image_trajectory(one, seen, columns) for one in demonstrations], config.pictures.stack)
    actor = clone_pixel_actor(config, shown, seen)
    assert actor is not None
    return ExpertPolicy(actor, seen)
