"""The agent that sees: random shifts, what trains the encoder, precision and compilation."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from polytask_policy.pixel_networks import PixelActor
from polytask_policy.policy_spec import Pictures
from polytask_trainer.agents.cuda_graph import WARM_UP
from polytask_trainer.agents.ddpg import AgentConfig
from polytask_trainer.agents.drqv2 import DrQv2, Seen
from polytask_trainer.agents.pixel_config import PictureConfig
from polytask_trainer.replay.augment import random_shift
from polytask_trainer.replay.pixels import PixelBatch

SIZE = 16
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def pictures(count: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 3, SIZE, SIZE)).astype(np.uint8))


def agent(device: str = "cpu", **options: Any) -> DrQv2:
    torch.manual_seed(0)
    actor = PixelActor(Pictures("camera", SIZE, 1), 2, 1, (16,), 8)
    shown = Seen(np.zeros((4, 2), np.float32), pictures(4).numpy(), np.zeros((4, 1), np.float32))
    config = AgentConfig(hidden=(16,), batch_size=8, learning_rate=1e-3, action_copies=3)
    return DrQv2(actor, shown, config, PictureConfig(size=SIZE, stack=1, device=device, **options), seed=0)  # type: ignore[arg-type]


def batch() -> PixelBatch:
    one = torch.ones(8)
    return PixelBatch(torch.zeros(8, 2), torch.ones(8, 1), one, one, torch.zeros(8, 2), pictures(8), pictures(8))


def test_pictures_are_shifted_by_whole_pixels_and_edges_repeated(device: str) -> None:
    shown = pictures(1).expand(64, -1, -1, -1)
    moved = random_shift(shown.to(device), torch.Generator(device).manual_seed(0)).cpu()
    padded = functional.pad(shown[:1].float(), (1, 1, 1, 1), mode="replicate").to(torch.uint8)[0]
    windows = {(y, x): padded[:, y : y + SIZE, x : x + SIZE] for y in range(3) for x in range(3)}
    found = [[place for place, window in windows.items() if torch.equal(window, one)] for one in moved]
    assert all(len(places) == 1 for places in found)
    assert {places[0] for places in found} == set(windows)


def test_the_encoder_learns_from_the_critics_alone() -> None:
    one, other = agent(), agent()
    before = copy.deepcopy(one.actor.encoder.state_dict())
    one.update(batch(), train_actor=True)
    other.update(batch(), train_actor=False)
    after, without_actor = one.actor.encoder.state_dict(), other.actor.encoder.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(torch.equal(after[name], without_actor[name]) for name in after)


@pytest.mark.parametrize("compiled", [False, True])
def test_critics_learn_the_value_from_pictures(device: str, compiled: bool) -> None:
    learner, shown = agent(device, compiled=compiled), batch()
    bright = torch.arange(8) % 2
    shown = PixelBatch(
        **{**vars(shown), "pictures": (255 * bright[:, None, None, None]).expand(-1, 3, SIZE, SIZE).to(torch.uint8)}
    )
    shown = PixelBatch(**{**vars(shown), "reward": bright.float(), "discount": torch.zeros(8)})
    for _ in range(150):
        learner.update(shown, train_actor=False)
    state, seen, action = (part.to(device) for part in (shown.state, shown.pictures, shown.action))
    q = learner.critic(learner.actor.see(state, seen), action).cpu()
    assert torch.allclose(q, bright.float().expand(2, -1), atol=0.15)


def test_actors_get_the_weights_of_their_episode(device: str) -> None:
    learner = agent(device, actors=2)
    assert len(learner.actor_snapshots) == 3
    learner.update(batch())
    learner.publish(4)
    fresh, stale = learner.actor_snapshots[1].state_dict(), learner.actor_snapshots[0].state_dict()
    assert all(torch.equal(fresh[name], value.cpu()) for name, value in learner.actor.state_dict().items())
    assert any(not torch.equal(stale[name], value) for name, value in fresh.items())


@pytest.mark.parametrize("compiled", [False, True])
def test_half_precision_and_compilation_learn_alike(
    device: str, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    plain, quick = agent(device), agent(device, bf16=True, compiled=compiled)
    assert list(plain.actor.state_dict()) == list(quick.actor.state_dict())
    for _ in range(3):
        one, other = plain.update(batch()), quick.update(batch())
    for name, value in one.items():
        assert float(other[name]) == pytest.approx(float(value), rel=0.1, abs=0.1)
    assert all(value.dtype == torch.float32 for value in quick.actor.state_dict().values())


@pytest.mark.parametrize("known", [{"avx512_bf16": True}, {"amx_bf16": True}, {"bf16": True}, {"avx512_f": True}, {}])
def test_half_precision_is_for_processors_that_have_it(known: dict[str, bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without instructions for it an update takes seven times as long as in float32."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    plain, asked = (agent("cpu", bf16=bf16).update(batch())["q"] for bf16 in (False, True))
    assert torch.equal(plain, asked) == ("bf16" not in str(known))


@on_gpu
def test_played_back_updates_are_those_that_were_called() -> None:
    """With the critics alone, then the actor too: the same numbers are drawn, and other ones each time."""
    called, played = agent("cuda"), agent("cuda", compiled=True)
    called._graphs.clear()
    course = [False] * (WARM_UP + 3) + [True] * (WARM_UP + 5)
    losses = []
    for learns in course:
        one, other = called.update(batch(), learns), played.update(batch(), learns)
        assert list(one) == list(other)
        losses.append([float(value) for value in other.values()])
        assert losses[-1] == pytest.approx([float(value) for value in one.values()], rel=0.02, abs=0.02)
    assert all(graphed._graph is not None for graphed in played._graphs.values())
    assert len({loss[0] for loss in losses}) == len(course)
    for name, value in called.actor.state_dict().items():
        assert torch.allclose(value, played.actor.state_dict()[name], atol=0.02), name
    assert torch.equal(called.generator.get_state(), played.generator.get_state())


def test_the_device_is_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PictureConfig(device="cpu").torch_device().type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert PictureConfig().torch_device().type == "cpu"
    with pytest.raises(ValueError, match=r"device is cuda, but torch .* set it to auto or cpu"):
        PictureConfig(device="cuda").torch_device()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    before = torch.get_float32_matmul_precision()
    try:
        assert PictureConfig().torch_device().type == "cuda"
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)


def test_a_shifted_picture_repeats_its_edges(device: str) -> None:
    """Each pixel comes from one place, for all rows and columns by the same offset, held within the picture."""
    size, pad = 42, 2
    place = torch.arange(size)
    pictures = torch.stack([place[:, None].expand(size, size), place.expand(size, size)]).to(torch.uint8)
    moved = random_shift(pictures.expand(60, -1, -1, -1).contiguous().to(device), torch.Generator(device)).cpu().long()
    offsets = set()
    for rows, columns in moved:
        down, right = int(rows[20, 20]) - 20, int(columns[20, 20]) - 20
        assert torch.equal(rows, (place + down).clamp(0, size - 1)[:, None].expand(size, size))
        assert torch.equal(columns, (place + right).clamp(0, size - 1).expand(size, size))
        offsets.add((down, right))
    assert {down for down, _ in offsets} == {right for _, right in offsets} == set(range(-pad, pad + 1))
