"""Replay of episodes that were seen: frames in a shared store, the rest in memory, stacks assembled at sampling."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polytask_trainer.replay.frame_store import FrameStore, stacked
from polytask_trainer.replay.states import Batch


@dataclass(frozen=True)
class PixelBatch(Batch):
    """A batch with stacked frames uint8 (B, 3 stack, size, size) for its states and next states."""

    pictures: Tensor
    next_pictures: Tensor


class PixelReplay:
    """The last episodes, sampled as n-step transitions; episode ``e`` lies in slot ``e % ring`` of the frame store.

    Of these the newest ``ring - margin`` are sampled. The others may be overwritten: they are the room in
    which actors write, and in which a resumed training repeats what it had done since its state was saved.

    On a GPU everything is there, the frames once more than in the store: to read a batch of the papers' size from the
    file and bring it there takes longer than the update that it is for.
    """

    def __init__(
        self,
        store: FrameStore,
        ring: int,
        margin: int,
        sizes: tuple[int, int],
        stack: int,
        n_step: int,
        gamma: float,
        device: torch.device | None = None,
    ) -> None:
        """``sizes`` are those of state and action; batches are made on ``device``, by default the CPU."""
        if not 0 < margin < ring <= store.slots:
            raise ValueError(f"a ring of {ring} episodes with a margin of {margin}, in {store.slots} slots")
        self.store, self.ring, self.margin, self.stack, self.n_step, self.gamma = (
            store,
            ring,
            margin,
            stack,
            n_step,
            gamma,
        )
        self.episodes = 0
        """Episodes added so far."""
        self._device = device or torch.device("cpu")
        rows, steps = ring, store.length - 1
        self._states = torch.zeros(rows, steps + 1, sizes[0], device=self._device)
        self._actions = torch.zeros(rows, steps, sizes[1], device=self._device)
        self._rewards = torch.zeros(rows, steps, device=self._device)
        self._lengths = torch.zeros(rows, dtype=torch.int64, device=self._device)
        self._frames: Tensor | None = None
        if self._device.type == "cuda":
            shape = (rows * store.length, *store.frames.shape[1:])
            self._frames = torch.empty(shape, dtype=torch.uint8, device=self._device)

    @property
    def kept(self) -> range:
        """Numbers of the episodes that are sampled."""
        return range(max(0, self.episodes - (self.ring - self.margin)), self.episodes)

    def add(self, states: NDArray[np.float32], actions: NDArray[np.float32], rewards: NDArray[np.float32]) -> None:
        """Add the next episode, whose frames are in the store: states (T+1, n), actions (T, k), rewards (T,)."""
        steps, slot = len(actions), self.episodes % self.ring
        if len(states) != steps + 1 or len(rewards) != steps or not 0 < steps < self.store.length:
            raise ValueError(f"an episode of {steps} actions with {len(states)} states and {len(rewards)} rewards")
        self._states[slot, : steps + 1] = torch.from_numpy(states)
        self._actions[slot, :steps] = torch.from_numpy(actions)
        self._rewards[slot] = 0.0
        self._rewards[slot, :steps] = torch.from_numpy(rewards)
        self._lengths[slot] = steps
        self.episodes += 1
        self._bring(slot)
        self._count()

    def _bring(self, slot: int) -> None:
        """Copy an episode's frames to where they are sampled, if that is not the store."""
        if self._frames is not None:
            places = np.arange(slot * self.store.length, (slot + 1) * self.store.length)
            self._frames[places[0] : places[-1] + 1] = torch.from_numpy(self.store.read(places)).to(self._device)

    def _count(self) -> None:
        """Number the transitions that are sampled: of each slot of theirs, the first number and the one after it."""
        self._slots = torch.tensor(self.kept, device=self._device) % self.ring
        self._ends = self._lengths[self._slots].cumsum(0)
        self._begins = self._ends - self._lengths[self._slots]
        self._total = int(self._ends[-1])

    def sample(self, batch_size: int, generator: torch.Generator) -> PixelBatch:
        """Draw transitions uniformly, with replacement. Returns and discounts are those of :class:`Replay`."""
        slot, t = self._drawn(batch_size, generator)
        covered = (self._lengths[slot] - t).clamp(max=self.n_step)
        # Rewards after an episode's end are zero.
        ahead = torch.arange(self.n_step, device=self._device)
        rewards = self._rewards[slot[:, None], (t[:, None] + ahead).clamp(max=self._rewards.shape[1] - 1)]
        rewards = torch.where(ahead < covered[:, None], rewards, 0.0)
        reward = (rewards * self.gamma**ahead).sum(1)
        pictures, next_pictures = self._pictures(slot, t), self._pictures(slot, t + covered)
        return PixelBatch(
            self._states[slot, t],
            self._actions[slot, t],
            reward,
            self.gamma ** covered.float(),
            self._states[slot, t + covered],
            pictures,
            next_pictures,
        )

    def _drawn(self, batch_size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Slots and steps (B,) of transitions, uniformly."""
        drawn = torch.randint(self._total, (batch_size,), generator=generator, device=self._device)
        which = torch.searchsorted(self._ends, drawn, right=True)
        return self._slots[which], drawn - self._begins[which]

    def _pictures(self, slot: Tensor, t: Tensor) -> Tensor:
        first = slot * self.store.length
        places = stacked(first, first + t, self.stack)
        if self._frames is None:
            frames = torch.from_numpy(self.store.read(places.numpy()))
        else:
            frames = self._frames.index_select(0, places.flatten()).unflatten(0, places.shape)
        return frames.flatten(1, 2)

    def export(self) -> dict[str, NDArray[Any]]:
        """What distillation needs beside the frames, see :class:`SeenStates`: one row per step.

        ``states`` float32 (N, n); ``place`` int64 (N,) of the newest frame, ``first`` of its episode's first one; and
        ``shape``: slots, length and size of the frame store, and the stack.
        """
        steps = torch.arange(self._actions.shape[1], device=self._device)
        slot, t = torch.nonzero(steps < self._lengths[self._slots][:, None], as_tuple=True)
        slot = self._slots[slot]
        first = slot * self.store.length
        return {
            "states": self._states[slot, t].cpu().numpy(),
            "first": first.cpu().numpy(),
            "place": (first + t).cpu().numpy(),
            "shape": np.array([self.store.slots, self.store.length, self.store.size, self.stack]),
        }

    def to_tensors(self) -> dict[str, Tensor]:
        """All but the frames, for a checkpoint."""
        used = slice(0, min(self.episodes, self.ring))
        names = ("states", "actions", "rewards", "lengths")
        return {"episodes": torch.tensor(self.episodes)} | {name: getattr(self, f"_{name}")[used] for name in names}

    def from_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over what ``to_tensors`` gave; the store's file must be the one of then."""
        self.episodes = int(tensors["episodes"])
        for name, values in tensors.items():
            if name != "episodes":
                getattr(self, f"_{name}")[: len(values)] = values
        for slot in range(min(self.episodes, self.ring)):
            self._bring(slot)
        if self.episodes:
            self._count()


class SeenStates:
    """The visited states of a finished pixel expert, read from its run folder for distillation."""

    def __init__(self, folder: Path) -> None:
        """Open ``replay.npz`` and ``frames.u8``. Raises OSError, KeyError and ValueError for a damaged folder."""
        with np.load(folder / "replay.npz", allow_pickle=False) as file:
            self.states: NDArray[np.float32] = file["states"]
            """(N, n)."""
            slots, length, size, stack = (int(value) for value in file["shape"])
            self.places = stacked(torch.from_numpy(file["first"]), torch.from_numpy(file["place"]), stack).numpy()
            """int64 (N, stack) in the frame store: the stack of each state, oldest first."""
        if not (folder / "frames.u8").is_file():
            raise ValueError(f"{folder} lacks frames.u8, the frames of its replay")
        self.store = FrameStore(folder / "frames.u8", slots, length, size)

    def pictures(self, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Stacked frames uint8 (B, 3 stack, size, size) of the states ``index`` (B,)."""
        frames = self.store.read(self.places[index])
        return frames.reshape(len(index), -1, *frames.shape[-2:])
