"""Processes that run episodes while the learner updates, each with an environment and a renderer of its own.

Episode ``e`` acts with the weights after the updates of episode ``e - lag``, ``lag`` being one more than there are
processes: each works on one episode, and one waits for the learner. So what is learned depends on the seed alone.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from polytask_policy.pixel_networks import PixelActor
from polytask_policy.policy_spec import PolicySpec
from polytask_policy.view import View
from polytask_trainer.common.trajectory import Trajectory
from polytask_trainer.replay.frame_store import FrameStore
from polytask_trainer.rollouts.episode import Bounds, training_rollout

PATIENCE = 0.2
"""s of waiting for an episode after which it is asked whether to stop."""


@dataclass(frozen=True)
class EpisodeRequest:
    """An episode to run."""

    snapshot: int
    """Number of the shared actor that acts."""
    noise: float
    """Standard deviation of the exploration."""
    start: int
    """Start seed."""
    slot: int
    """Slot of the frame store for its frames."""


@dataclass(frozen=True)
class WorkerSpec:
    """What all episodes have in common; goes to each process once."""

    make_env: Callable[[], gymnasium.Env[Any, Any]]
    description: PolicySpec
    """Of the policy: the entries of the state and the pictures that it takes."""
    actor_snapshots: nn.ModuleList
    """Actors in shared memory."""
    frames: tuple[Path, int, int, int]
    """Arguments of the frame store."""
    horizon: int
    bounds: Bounds
    """Of the states, beyond which a simulation is broken."""


class ActorError(RuntimeError):
    """An actor process failed; the message has its traceback."""


class Actors:
    """The processes. They end when closed, and by themselves when the learner is gone."""

    def __init__(self, spec: WorkerSpec, count: int) -> None:
        """Start them; an environment takes some seconds, and the first episodes wait for it."""
        context = torch.multiprocessing.get_context("spawn")
        self.count = count
        self.busy = 0.0
        """s that the processes have spent on episodes."""
        self._turn = self._collected = 0
        self._connections: list[Connection] = []
        self._processes: list[multiprocessing.process.BaseProcess] = []
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, spec), daemon=True)
            process.start()
            theirs.close()
            self._connections.append(ours)
            self._processes.append(process)

    @property
    def outstanding(self) -> int:
        """Episodes requested and not collected yet."""
        return self._turn - self._collected

    def request(self, request: EpisodeRequest) -> None:
        """Ask for an episode; the processes take turns."""
        try:
            self._connections[self._turn % len(self._connections)].send(request)
        except BrokenPipeError:
            raise ActorError("an actor process has ended; was memory short?") from None
        self._turn += 1

    def collect(self, should_stop: Callable[[], bool] = lambda: False) -> Trajectory | None:
        """Wait for the next episode in the order of asking, its frames being in the store. Raises ActorError.

        None: asked to stop meanwhile, and the episode is still to come.
        """
        connection = self._connections[self._collected % len(self._connections)]
        try:
            while not connection.poll(PATIENCE):
                if should_stop():
                    return None
            result, busy = connection.recv()
        except (EOFError, ConnectionResetError):
            raise ActorError("an actor process has ended; was memory short?") from None
        if isinstance(result, str):
            raise ActorError(result)
        self._collected += 1
        self.busy += busy
        episode: Trajectory = result
        return episode

    def close(self) -> None:
        """End the processes."""
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()


def _serve(connection: Connection, spec: WorkerSpec) -> None:
    """Do what is asked until the learner has gone."""
    import traceback

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the learner, which ends this one
    torch.set_num_threads(1)
    env = spec.make_env()
    store = FrameStore(*spec.frames)
    try:
        while True:
            request = connection.recv()
            begun = time.monotonic()
            try:
                answer: Trajectory | str = _run(env, store, spec, request)
            except Exception:
                answer = traceback.format_exc()
            connection.send((answer, time.monotonic() - begun))
    except (EOFError, OSError):
        pass
    finally:
        env.close()


def _run(env: gymnasium.Env[Any, Any], store: FrameStore, spec: WorkerSpec, request: EpisodeRequest) -> Trajectory:
    """One episode; its states are the entries that the policy takes."""
    actor = spec.actor_snapshots[request.snapshot]
    assert isinstance(actor, PixelActor)
    rng = np.random.default_rng([request.start, 1])
    view = View(spec.description, env.get_wrapper_attr("state_names"))
    frames: list[NDArray[np.uint8]] = []

    def look(state: NDArray[np.float32]) -> tuple[torch.Tensor, torch.Tensor]:
        own, stack = view(state, np.asarray(env.render(), dtype=np.uint8))
        assert stack is not None
        frames.append(stack[-3:])
        return torch.from_numpy(own), torch.from_numpy(stack)

    def policy(state: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            mean = actor(*look(state)).numpy()
        noisy: NDArray[np.float32] = (mean + request.noise * rng.standard_normal(mean.shape)).astype(np.float32)
        return noisy.clip(-1.0, 1.0)

    episode = training_rollout(env, policy, request.start, spec.horizon, spec.bounds)
    if len(frames) == len(episode.actions):
        look(episode.states[-1])
    store.write(request.slot, np.stack(frames[: len(episode.states)]))
    return replace(episode, states=episode.states[:, view.columns])
