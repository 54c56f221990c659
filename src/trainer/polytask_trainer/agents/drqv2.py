"""DrQ-v2 with a behaviour-cloning term: the agent of ``ddpg.py`` on an encoder's features (PolyTask Eqs. 1, 6 to 8).

What it adds: random shifts of the pictures, an encoder that learns from the critics' loss alone, and features beside
the state wherever the other agent has the state alone. Auxiliary losses may train the encoder too.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polytask_policy.pixel_networks import PixelActor
from polytask_trainer.agents.cuda_graph import Graphed
from polytask_trainer.agents.ddpg import DDPG, AgentConfig
from polytask_trainer.agents.pixel_config import PictureConfig
from polytask_trainer.auxiliary.joint import Auxiliary
from polytask_trainer.auxiliary.replay import SteppedBatch
from polytask_trainer.common.device import quick_in_bf16
from polytask_trainer.common.optimizer_state import under
from polytask_trainer.replay.augment import random_shift
from polytask_trainer.replay.pixels import PixelBatch


@dataclass(frozen=True)
class Seen:
    """Demonstration pairs: states float32 (N, n), stacked frames uint8 (N, 3 stack, size, size), actions (N, k)."""

    states: NDArray[np.float32]
    pictures: NDArray[np.uint8]
    actions: NDArray[np.float32]


class DrQv2(DDPG[PixelActor]):  # type: ignore[type-var]
    """The agent; its networks and its random numbers live on ``device``, batches are brought there."""

    networks = (*DDPG.networks, "target_encoder", "actor_snapshots")

    def __init__(
        self, actor: PixelActor, demonstrations: Seen, config: AgentConfig, pictures: PictureConfig, seed: int
    ) -> None:
        """``actor`` is pre-trained on ``demonstrations``."""
        self.device = pictures.torch_device()
        generator = torch.Generator().manual_seed(seed)
        super().__init__(actor, (demonstrations.states, demonstrations.actions), config, generator)
        moved: list[nn.Module] = [self.actor, self.average, self.best, self.critic, self.target]
        for network in moved:
            network.to(self.device)
        on_gpu = self.device.type == "cuda"
        if on_gpu:
            self.generator = generator = torch.Generator(self.device).manual_seed(seed)
        # Episode e acts with actor_snapshots[e % len(actor_snapshots)]; in memory that actor processes share.
        self.actor_snapshots = nn.ModuleList(
            copy.deepcopy(actor).cpu() for _ in range(pictures.actors + 1)
        ).share_memory()
        self.target_encoder = copy.deepcopy(self.actor)
        rate = config.learning_rate
        adam = partial(torch.optim.Adam, lr=rate, fused=True, capturable=on_gpu)
        self.actor_optimizer = adam(self.actor.layers.parameters())
        trained = [*self.critic.parameters(), *self.actor.encoder.parameters()]
        self.auxiliary: Auxiliary | None = None
        if pictures.auxiliary is not None:
            sizes = (actor.encoder.feature, actor.action_size)
            self.auxiliary = Auxiliary(*sizes, pictures.auxiliary, generator).to(self.device)
            self.networks = (*self.networks, "auxiliary")
            trained += self.auxiliary.parameters()
        self.critic_optimizer = adam(trained)
        self._demo_states, self._demo_actions = self._demo_states.to(self.device), self._demo_actions.to(self.device)
        self._demo_pictures = torch.from_numpy(demonstrations.pictures).to(self.device)
        self._bf16 = pictures.bf16 and quick_in_bf16(self.device)
        if pictures.compiled:
            compiled: list[nn.Module] = [self.actor.encoder, self.critic, self.target]
            for network in compiled:
                # On a CPU operations are traced only: generating code takes longer there than it saves.
                network.compile(backend="inductor" if on_gpu else "aot_eager")
        self._graphs: dict[bool, Graphed] = {}
        if pictures.compiled and on_gpu and self.auxiliary is None:  # optical flow is computed on the CPU
            for learns in (False, True):
                self._graphs[learns] = Graphed(partial(self._of_parts, learns), self.generator)

    def from_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what ``to_tensors`` gave, also in an earlier version, where two networks had other names."""
        for name, former in (("target_encoder", "watcher"), ("actor_snapshots", "acting")):
            tensors = {**tensors, **{f"{name}.{key}": value for key, value in under(tensors, former).items()}}
        super().from_tensors(tensors)

    def publish(self, episode: int, actor: PixelActor | None = None) -> None:
        """Let that episode act with the weights as they are now, or with those of another actor."""
        self.actor_snapshots[episode % len(self.actor_snapshots)].load_state_dict((actor or self.actor).state_dict())

    def refresh_target_encoder(self) -> None:
        """Let the target encoder, on whose features episodes are matched, be the encoder as it is now."""
        self.target_encoder.load_state_dict(self.actor.state_dict())

    def update(self, batch: PixelBatch, train_actor: bool = True) -> dict[str, Tensor]:  # type: ignore[override]
        """One step of the critics with the encoder and, unless told otherwise, of the actor; returns losses.

        On a GPU the next call may overwrite these.
        """
        batch = type(batch)(**{name: value.to(self.device) for name, value in vars(batch).items()})
        if self._graphs:
            return self._graphs[train_actor](*vars(batch).values())
        return self._update(batch, train_actor)

    def _of_parts(self, train_actor: bool, *parts: Tensor) -> dict[str, Tensor]:
        return self._update(PixelBatch(*parts), train_actor)

    def _update(self, batch: PixelBatch, train_actor: bool) -> dict[str, Tensor]:
        seen = self._see(batch.state, batch.pictures)
        with torch.no_grad():
            next_seen = self._see(batch.next_state, batch.next_pictures)
        log = self._update_critic(batch, seen, next_seen)
        if train_actor:
            log |= self._update_actor(seen.detach())
        return log

    def _critic_gradient(self, loss: Tensor, batch: PixelBatch) -> dict[str, Tensor]:  # type: ignore[override]
        """With auxiliary losses that of all together; ``batch`` is a :class:`SteppedBatch` then."""
        if self.auxiliary is None:
            return super()._critic_gradient(loss, batch)
        assert isinstance(batch, SteppedBatch)
        now = batch.pictures[:, : batch.after.shape[1]]  # without a goal's picture
        before, after = random_shift(torch.cat([now, batch.after], dim=1), self.generator).chunk(2, dim=1)
        return self.auxiliary.backward(loss, self.actor.encoder, before, after, batch.action)

    def _see(self, states: Tensor, pictures: Tensor) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, self._bf16):
            return self.actor.see(states, random_shift(pictures, self.generator))

    def _demonstrated(self, index: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            return self._see(self._demo_states[index], self._demo_pictures[index]), self._demo_actions[index]
