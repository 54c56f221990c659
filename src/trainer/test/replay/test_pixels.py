"""Frames on disk against a naive buffer in memory, and how much memory that takes."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from polytask_policy.policy_spec import Pictures
from polytask_policy.view import FrameStack
from polytask_trainer.common.files import write_npz
from polytask_trainer.replay import frame_store
from polytask_trainer.replay.frame_store import FrameStore
from polytask_trainer.replay.pixels import PixelBatch, PixelReplay, SeenStates

SIZE, HORIZON, STACK, N_STEP, GAMMA = 6, 12, 3, 3, 0.9
Episode = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def episodes(count: int) -> list[Episode]:
    """Frames, states, actions and rewards; every state is unlike all others, so it names its transition."""
    rng, found, number = np.random.default_rng(0), [], 0
    for index in range(count):
        steps = HORIZON if index % 3 else int(rng.integers(1, HORIZON))
        frames = rng.integers(0, 256, (steps + 1, 3, SIZE, SIZE)).astype(np.uint8)
        states = np.arange(number, number + steps + 1, dtype=np.float32)[:, None]
        number += steps + 1
        actions, rewards = rng.normal(size=(steps, 2)), rng.normal(size=steps)
        found.append((frames, states, actions.astype(np.float32), rewards.astype(np.float32)))
    return found


def replay_of(folder: Path, ring: int, margin: int, device: str = "cpu") -> PixelReplay:
    store = FrameStore(folder / "frames.u8", ring, HORIZON + 1, SIZE)
    return PixelReplay(store, ring, margin, (1, 2), STACK, N_STEP, GAMMA, torch.device(device))


def filled(folder: Path, shown: list[Episode], ring: int, margin: int, device: str = "cpu") -> PixelReplay:
    replay = replay_of(folder, ring, margin, device)
    for number, (frames, *rest) in enumerate(shown):
        replay.store.write(number % ring, frames)
        replay.add(*rest)
    return replay


def naive(
    shown: list[Episode],
) -> dict[float, tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32], float, float, float]]:
    """Every transition by its state: stacks as a policy sees them, action, return, discount and next state."""
    found = {}
    for frames, states, actions, rewards in shown:
        stack = FrameStack(Pictures("", SIZE, STACK))
        stacks = [stack.add(frame) for frame in frames]
        for t in range(len(actions)):
            end = min(t + N_STEP, len(actions))
            total = sum(GAMMA**i * float(reward) for i, reward in enumerate(rewards[t:end]))
            found[float(states[t, 0])] = (
                stacks[t], stacks[end], actions[t], total, GAMMA ** (end - t), float(states[end, 0])
            )  # fmt: skip
    return found


@pytest.mark.parametrize("count", [5, 40], ids=["ring not full", "wrapped"])
def test_samples_equal_those_of_a_naive_buffer(tmp_path: Path, count: int, device: str) -> None:
    shown = episodes(count)
    replay = filled(tmp_path, shown, ring=16, margin=4, device=device)
    known = naive(shown[-12:])
    seen = set()
    generator = torch.Generator(device).manual_seed(0)
    for _ in range(30):
        drawn = replay.sample(64, generator)
        assert {part.device.type for part in vars(drawn).values()} == {device}
        batch = PixelBatch(*(part.cpu() for part in vars(drawn).values()))
        for row in range(64):
            state = float(batch.state[row])
            stack, next_stack, action, total, discount, next_state = known[state]
            assert np.array_equal(batch.pictures[row].numpy(), stack)
            assert np.array_equal(batch.next_pictures[row].numpy(), next_stack)
            assert np.array_equal(batch.action[row].numpy(), action)
            assert float(batch.reward[row]) == pytest.approx(total, abs=1e-5)
            assert float(batch.discount[row]) == pytest.approx(discount)
            assert float(batch.next_state[row]) == next_state
            seen.add(state)
    assert seen == set(known)  # uniform: in 1,920 draws none of about 110 is left out


def test_what_distillation_reads_is_what_was_seen(tmp_path: Path, device: str) -> None:
    shown = episodes(20)
    replay = filled(tmp_path, shown, ring=16, margin=4, device=device)
    write_npz(tmp_path / "replay.npz", **replay.export())
    read, known = SeenStates(tmp_path), naive(shown[-12:])
    assert sorted(read.states[:, 0]) == sorted(known)
    pictures = read.pictures(np.arange(len(read.states)))
    for state, stack in zip(read.states[:, 0], pictures, strict=True):
        assert np.array_equal(stack, known[float(state)][0])


def test_a_resumed_replay_samples_the_same(tmp_path: Path, device: str) -> None:
    replay = filled(tmp_path, episodes(40), ring=16, margin=4, device=device)
    again = replay_of(tmp_path, 16, 4, device)
    again.from_tensors({name: part.cpu() for name, part in replay.to_tensors().items()})
    one, other = (each.sample(32, torch.Generator(device).manual_seed(1)) for each in (replay, again))
    assert all(torch.equal(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True))


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    store = FrameStore(tmp_path / "frames.u8", 4, 3, SIZE)
    with pytest.raises(ValueError, match="4 frames into slot 0"):
        store.write(0, np.zeros((4, 3, SIZE, SIZE), dtype=np.uint8))
    with pytest.raises(ValueError, match="slot 4"):
        store.write(4, np.zeros((1, 3, SIZE, SIZE), dtype=np.uint8))
    with pytest.raises(ValueError, match="margin"):
        PixelReplay(store, 4, 4, (1, 2), STACK, N_STEP, GAMMA)


def _resident() -> int:
    """MiB of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20


def _sample_for_long(path: str, answer: Connection) -> None:
    frame_store.RESIDENT = 8 << 20
    slots, length, size = 200, 51, 84
    store = FrameStore(Path(path), slots, length, size)
    replay = PixelReplay(store, slots, 1, (1, 1), 3, 3, 0.99)
    frames = np.full((length, 3, size, size), 7, dtype=np.uint8)
    nothing = np.zeros((length, 1), np.float32)
    before, generator = _resident(), torch.Generator().manual_seed(0)
    for slot in range(slots):
        store.write(slot, frames)
        replay.add(nothing, nothing[1:], nothing[1:, 0])
    for _ in range(60):
        batch = replay.sample(64, generator)
        assert int(batch.pictures.min()) == int(batch.next_pictures.max()) == 7  # what was given back is still there
    answer.send(_resident() - before)


def test_pages_are_given_back(tmp_path: Path) -> None:
    """A file of 216 MB, written and then sampled until each frame was read twice."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_sample_for_long, args=(str(tmp_path / "f"), theirs))
    process.start()
    grown = ours.recv()
    process.join()
    assert grown < 100
