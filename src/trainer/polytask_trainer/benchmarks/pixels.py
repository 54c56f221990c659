"""Benchmark: the image agent's update and replay against a plain textbook implementation."""

from __future__ import annotations

import mmap
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from polytask_policy.pixel_networks import PixelActor
from polytask_policy.policy_spec import Pictures
from polytask_trainer.agents.cuda_graph import WARM_UP
from polytask_trainer.agents.ddpg import AgentConfig
from polytask_trainer.agents.drqv2 import DrQv2, Seen
from polytask_trainer.agents.pixel_config import PictureConfig
from polytask_trainer.benchmarks.reference_drqv2 import Textbook
from polytask_trainer.experts.config import LearnConfig
from polytask_trainer.replay.frame_store import FrameStore
from polytask_trainer.replay.pixels import PixelBatch, PixelReplay

STATE, ACTION = 11, 4


def measure_update(config: LearnConfig, rounds: int = 12) -> dict[str, float]:
    """Median seconds of one update with a settings file's sizes: ``ours``, ``float32`` and ``textbook``; ``ratio``.

    ``ours`` is as configured, ``float32`` the same without bfloat16; ``ratio`` is how many times quicker than
    the textbook's ours is: on a GPU as configured, on a CPU in the same precision. The ways take turns.
    """
    pictures = config.pictures
    assert pictures is not None
    device = pictures.torch_device()
    torch.manual_seed(0)
    batch = _batch(config.agent.batch_size, pictures, device)
    shown = Seen(batch.state.cpu().numpy(), batch.pictures.cpu().numpy(), batch.action.cpu().numpy())
    ways: dict[str, Callable[[], object]] = {}
    for name, precision in (("ours", pictures), ("float32", replace(pictures, bf16=False))):
        agent = DrQv2(_actor(config.agent, pictures), shown, config.agent, precision, 0)
        ways[name] = lambda agent=agent: agent.update(batch)  # type: ignore[misc]
    plain = Textbook(_actor(config.agent, pictures), shown, config.agent, device)
    ways["textbook"] = lambda: plain.update(batch)
    seconds = _in_turns(ways, rounds, device)
    own = seconds["ours" if on_gpu(device) else "float32"]
    return {**seconds, "ratio": seconds["textbook"] / own, "batch": float(config.agent.batch_size)}


def on_gpu(device: torch.device) -> bool:
    """Whether a GPU computes."""
    return device.type == "cuda"


def measure_sampling(
    size: int = 84,
    stack: int = 3,
    episodes: int = 40,
    steps: int = 125,
    batch: int = 256,
    device: torch.device | None = None,
) -> dict[str, float]:
    """Median seconds to draw a batch: ``ours`` from the replay, ``textbook`` from a list of stacked transitions.

    Both bring it to ``device``, by default the CPU. Also the bytes that a step takes either way, ``ours_bytes`` and
    ``textbook_bytes``.
    """
    device = device or torch.device("cpu")
    rng = np.random.default_rng(0)
    generator = torch.Generator(device).manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        store = FrameStore(Path(folder) / "frames.u8", episodes + 1, steps + 1, size)
        replay = PixelReplay(store, episodes + 1, 1, (STATE, ACTION), stack, 1, 0.99, device)
        transitions: list[tuple[np.ndarray, ...]] = []
        for number in range(episodes):
            frames = rng.integers(0, 256, (steps + 1, 3, size, size), dtype=np.uint8)
            states = rng.standard_normal((steps + 1, STATE), dtype=np.float32)
            actions = rng.uniform(-1, 1, (steps, ACTION)).astype(np.float32)
            rewards = rng.random(steps, dtype=np.float32)
            store.write(number, frames)
            replay.add(states, actions, rewards)
            padded = np.concatenate([frames[:1]] * (stack - 1) + [frames])
            stacked = [padded[t : t + stack].reshape(-1, size, size) for t in range(steps + 1)]
            for t in range(steps):
                rest = (states[t], actions[t], rewards[t : t + 1], states[t + 1])
                transitions.append((stacked[t].copy(), stacked[t + 1].copy(), *rest))

        def textbook() -> list[Tensor]:
            drawn = [transitions[index] for index in rng.integers(len(transitions), size=batch)]
            return [torch.from_numpy(np.stack(part)).to(device) for part in zip(*drawn, strict=True)]

        seconds = _in_turns({"ours": lambda: replay.sample(batch, generator), "textbook": textbook}, 40, device)
    kept = sum(part.nbytes for part in transitions[0])
    own = 3 * size * size + 4 * (STATE + ACTION + 1)
    ratio = seconds["textbook"] / seconds["ours"]
    return {**seconds, "ratio": ratio, "ours_bytes": float(own), "textbook_bytes": float(kept)}


def measure_frames(
    folder: Path, count: int = 150_000, size: int = 84, stack: int = 3, steps: int = 125, batches: int = 40
) -> dict[str, float]:
    """What about ``count`` frames take while batches of 256 are drawn of them, kept in ``folder`` for the while.

    Keys ``disk`` and ``resident`` (bytes; the most of this process that is resident, the kernel's cache aside),
    ``textbook`` (bytes of the same as stacked transitions), ``ratio`` of that to ``resident``, ``seconds`` for a
    batch (median), and ``count``.
    """
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    episodes = count // (steps + 1)
    store = FrameStore(folder / "frames.u8", episodes + 1, steps + 1, size)
    replay = PixelReplay(store, episodes + 1, 1, (STATE, ACTION), stack, 1, 0.99)
    before = _resident()
    frames = rng.integers(0, 256, (steps + 1, 3, size, size), dtype=np.uint8)
    states, actions = np.zeros((steps + 1, STATE), np.float32), np.zeros((steps, ACTION), np.float32)
    for number in range(episodes):
        store.write(number, frames ^ np.uint8(number % 256))
        replay.add(states, actions, actions[:, 0])
    resident, taken = _resident(), list[float]()
    for _ in range(batches):
        began = time.perf_counter()
        replay.sample(256, generator)
        taken.append(time.perf_counter() - began)
        resident = max(resident, _resident())
    kept, textbook = resident - before, episodes * steps * 2 * stack * 3 * size * size
    return {
        "count": float(episodes * (steps + 1)),
        "disk": 512.0 * store.path.stat().st_blocks,
        "resident": float(kept),
        "textbook": float(textbook),
        "ratio": textbook / kept,
        "seconds": statistics.median(taken),
    }


def _resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def _actor(config: AgentConfig, pictures: PictureConfig) -> PixelActor:
    seen = Pictures("front", pictures.size, pictures.stack)
    return PixelActor(seen, STATE, ACTION, config.hidden, pictures.feature, pictures.strides)


def _batch(count: int, pictures: PictureConfig, device: torch.device) -> PixelBatch:
    shape = (count, 3 * pictures.stack, pictures.size, pictures.size)
    return PixelBatch(
        torch.randn(count, STATE, device=device),
        torch.rand(count, ACTION, device=device) * 2 - 1,
        torch.rand(count, device=device),
        torch.full((count,), 0.97, device=device),
        torch.randn(count, STATE, device=device),
        torch.randint(256, shape, dtype=torch.uint8, device=device),
        torch.randint(256, shape, dtype=torch.uint8, device=device),
    )


def _in_turns(ways: Mapping[str, Callable[[], object]], rounds: int, device: torch.device) -> dict[str, float]:
    """Median seconds of each way, called in turns after a warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + WARM_UP + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if on_gpu(device):
                torch.cuda.synchronize(device)
            if number > WARM_UP:
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(taken) for name, taken in seconds.items()}
