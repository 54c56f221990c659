"""Auxiliary losses and their weights."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_sight import DESCRIPTION, SeenPoint, demonstration, small

from polytask_policy.checkpoint import load_checkpoint
from polytask_policy.expert import ExpertPolicy
from polytask_policy.pixel_networks import PixelActor, PixelEncoder
from polytask_policy.policy_spec import Pictures
from polytask_trainer.agents.ddpg import AgentConfig
from polytask_trainer.agents.drqv2 import DrQv2, Seen
from polytask_trainer.agents.pixel_config import PictureConfig
from polytask_trainer.auxiliary.config import LOSSES, AuxiliaryConfig
from polytask_trainer.auxiliary.flow import CELLS, optical_flow
from polytask_trainer.auxiliary.joint import Auxiliary
from polytask_trainer.auxiliary.losses import Losses, Passed, egomotion
from polytask_trainer.auxiliary.replay import SteppedBatch, SteppedReplay
from polytask_trainer.auxiliary.weights import Weights
from polytask_trainer.common.settings import ConfigError
from polytask_trainer.experts.checkpoint import KIND
from polytask_trainer.experts.config import learn_config
from polytask_trainer.experts.learn import learn_expert
from polytask_trainer.replay.frame_store import FrameStore
from polytask_trainer.replay.pixels import PixelReplay

SIZE = 16


def quadratics(x: torch.Tensor, tasks: list[tuple[torch.Tensor, torch.Tensor]]) -> list[torch.Tensor]:
    return [((x - centre) * curvature).square().sum() for centre, curvature in tasks]


@pytest.mark.parametrize("horizon", [1, 5])
def test_the_step_of_the_weights_is_what_autograd_finds_through_the_updates(horizon: int) -> None:
    """Eq. 7 leaves out what is of second order in alpha, so a tenth of alpha leaves a tenth of the relative error."""
    torch.manual_seed(0)
    tasks = [(torch.randn(3), torch.rand(3) + 0.5) for _ in range(4)]  # the main one first
    start = torch.randn(3)

    def found(alpha: float) -> tuple[torch.Tensor, torch.Tensor]:
        weights = Weights(3, AuxiliaryConfig(horizon=horizon, rate=alpha), -math.inf)
        w, x = torch.ones(3, requires_grad=True), start.clone().requires_grad_()
        for _ in range(horizon):
            gradients = [torch.autograd.grad(one, x, create_graph=True)[0] for one in quadratics(x, tasks)]
            weights(torch.stack([gradient @ gradients[0] for gradient in gradients[1:]]).detach())
            x = x - alpha * (gradients[0] + sum(a * b for a, b in zip(w, gradients[1:], strict=True)))
        return weights.w - 1.0, -torch.autograd.grad(quadratics(x, tasks)[0], w)[0]

    errors = []
    for alpha in (1e-3, 1e-4):
        ours, exact = found(alpha)
        errors.append(float((ours - exact).norm() / exact.norm()))
    assert errors[0] < 0.1
    assert errors[1] < 0.15 * errors[0]


def test_weights_by_hand() -> None:
    products = torch.tensor([2.0, -1.0])
    assert Weights(2, AuxiliaryConfig(combine="balance"))(products).tolist() == [1.0, 1.0]
    fixed = AuxiliaryConfig(losses=LOSSES[:2], combine="fixed", weights=(0.5, 3.0))
    assert Weights(2, fixed)(products).tolist() == [0.5, 3.0]
    assert Weights(2, AuxiliaryConfig(combine="cosine"))(products).tolist() == [1.0, 0.0]
    online = Weights(2, AuxiliaryConfig(horizon=2, rate=0.25))
    used = [online(products).tolist() for _ in range(5)]
    assert used == [[1.0, 1.0]] * 2 + [[2.0, 0.5]] * 2 + [[3.0, 0.0]]  # 1 + 0.25 (2 + 2), 1 - 0.25 (1 + 1)
    online(products)
    assert online.w.tolist() == [4.0, 0.0]


def encoder() -> PixelEncoder:
    torch.manual_seed(0)
    return PixelEncoder(Pictures("camera", SIZE, 1), 8, (2, 2, 1))


def seen(count: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, 3, SIZE, SIZE)).astype(np.uint8))


@pytest.mark.parametrize("combine", ["fixed", "balance", "cosine", "ol_aux"])
def test_the_joint_gradient_is_that_of_the_combined_loss(combine: Any) -> None:
    eye, before, after, actions = encoder(), seen(6), seen(6, 1), torch.rand(6, 2)
    given = (0.5, 1.0, 2.0, 0.0, 3.0) if combine == "fixed" else ()
    config = AuxiliaryConfig(combine=combine, weights=given, horizon=1, rate=0.1, hidden=8)
    auxiliary = Auxiliary(8, 2, config, torch.Generator().manual_seed(0))
    direction = torch.randn(6, 8, generator=torch.Generator().manual_seed(3))
    main = 50.0 + (eye(before) * direction).sum()
    log = auxiliary.backward(main, eye, before, after, actions)
    passed = Auxiliary(8, 2, config, torch.Generator().manual_seed(0))._passed(before, after, actions)
    losses = auxiliary.losses(eye.features(passed.pictures()), passed)
    parameters = list(eye.parameters())
    every = [50.0 + (eye(before) * direction).sum(), *losses.values()]
    if combine != "fixed":
        every = [loss.log() for loss in every]
    alone = [torch.cat([g.flatten() for g in torch.autograd.grad(one, parameters, retain_graph=True)]) for one in every]
    products = torch.stack([gradient @ alone[0] for gradient in alone[1:]])
    w = torch.tensor(given or [1.0] * 5)
    if combine == "cosine":
        w = (products >= 0.0).float()
        assert 0 < w.sum() < 5
    wanted = alone[0] + sum(a * b for a, b in zip(w, alone[1:], strict=True))
    found = torch.cat([parameter.grad.flatten() for parameter in parameters])  # type: ignore[union-attr]
    assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-4)
    assert [float(log[f"{name}_weight"]) for name in LOSSES] == w.tolist()
    for name, loss in losses.items():
        assert float(log[f"{name}_loss"]) == pytest.approx(float(loss.detach()), rel=1e-4)
        own = list(auxiliary.losses.heads[name].parameters())  # they learn whatever the weight
        scaled = loss if combine == "fixed" else loss.log()
        for parameter, gradient in zip(own, torch.autograd.grad(scaled, own, retain_graph=True), strict=True):
            assert torch.allclose(parameter.grad, gradient, rtol=1e-3, atol=1e-5)  # type: ignore[arg-type]
    if combine == "ol_aux":
        assert torch.allclose(auxiliary.weights.w, (1.0 + 0.1 * products).clamp(min=0.0), rtol=1e-3, atol=1e-4)


def test_losses_against_their_definitions() -> None:
    losses = Losses(4, 2, AuxiliaryConfig(hidden=4))
    for parameter in losses.parameters():
        torch.nn.init.zeros_(parameter)  # so each predicts zero
    features, actions, motion = torch.rand(6, 4, requires_grad=True), torch.rand(2, 2), torch.rand(2, 3)
    flow, grey = torch.full((2, 2, CELLS, CELLS), 2.0), torch.full((2, 3, SIZE, SIZE), 0.3)
    found = losses(features, Passed(grey, grey, actions, grey, motion, flow))
    assert list(found) == list(LOSSES)
    assert float(found["forward_dynamics"].detach()) == pytest.approx(float(features[2:4].detach().square().mean()))
    assert float(found["inverse_dynamics"]) == pytest.approx(float(actions.square().mean()))
    assert float(found["egomotion"]) == pytest.approx(float(motion.square().mean()))
    assert float(found["autoencoder"]) == pytest.approx(0.09)
    assert float(found["optical_flow"]) == pytest.approx(0.25)
    some = Losses(4, 2, AuxiliaryConfig(losses=("egomotion",)))
    assert list(some(features, Passed(grey, grey, actions, grey, motion, flow))) == ["egomotion"]


def test_a_feature_cannot_please_forward_dynamics_by_saying_nothing() -> None:
    losses = Losses(4, 2, AuxiliaryConfig(losses=("forward_dynamics",)))
    features, nothing = torch.rand(6, 4, requires_grad=True), torch.zeros(2, 3, SIZE, SIZE)
    passed = Passed(nothing, nothing, torch.rand(2, 2), nothing, torch.zeros(2, 3), torch.zeros(2, 2, CELLS, CELLS))
    [gradient] = torch.autograd.grad(losses(features, passed)["forward_dynamics"], features)
    assert gradient[:2].abs().sum() > 0.0
    assert gradient[2:].abs().sum() == 0.0


def test_egomotion_moves_and_turns() -> None:
    spot = torch.zeros(2, 1, 9, 9)
    spot[:, 0, 4, 6] = 1.0  # two pixels right of the middle
    assert torch.allclose(egomotion(spot, torch.zeros(2, 3)), spot, atol=1e-5)
    moved = egomotion(spot, torch.tensor([[0.0, 8 / 9, 0.0], [1.0, 0.0, 0.0]]))
    assert moved[0, 0].argmax() == 4 * 9 + 5  # 0.25 * 8 / 9 of half a width is a pixel, to the left
    turned = (torch.nonzero(moved[1, 0] > 0.1).float().mean(0) - 4.0).abs().numpy()
    assert turned == pytest.approx([math.sqrt(2.0)] * 2, abs=0.2)  # an eighth of a turn


@pytest.mark.parametrize(("size", "pixels"), [(24, 1.0), (48, 0.5)])
def test_optical_flow_of_a_square_that_moves_right(size: int, pixels: float) -> None:
    before = np.zeros((1, 3, size, size), np.uint8)
    before[:, :, size // 3 : 2 * size // 3, size // 3 : 2 * size // 3] = 200
    flow = optical_flow(before, np.roll(before, 1, axis=3))
    assert flow.shape == (1, 2, CELLS, CELLS)
    assert flow[0, 0, 2:4, 2:4] == pytest.approx(np.full((2, 2), pixels), abs=0.25)
    assert np.abs(flow[0, 1]).max() < 0.4
    assert np.abs(optical_flow(before, before)).max() < 0.05


def test_stepped_batches_are_those_of_the_replay_and_the_next_pictures(tmp_path: Any) -> None:
    store = FrameStore(tmp_path / "frames.u8", 4, 11, 4)
    plain, stepped = (kind(store, 4, 1, (1, 1), 1, 3, 0.9) for kind in (PixelReplay, SteppedReplay))
    for slot in range(2):
        frames = (np.arange(11) + 20 * slot).astype(np.uint8)[:, None, None, None] * np.ones((1, 3, 4, 4), np.uint8)
        store.write(slot, frames)
        for replay in (plain, stepped):
            replay.add(np.arange(11, dtype=np.float32)[:, None], np.zeros((10, 1), np.float32), np.ones(10, np.float32))
    one, other = (replay.sample(32, torch.Generator().manual_seed(0)) for replay in (plain, stepped))
    assert isinstance(other, SteppedBatch)
    for name, value in vars(one).items():
        assert torch.equal(value, getattr(other, name))
    assert torch.equal(other.after, other.pictures + 1)
    assert not torch.equal(other.after, other.next_pictures)


def agent(auxiliary: AuxiliaryConfig | None, **options: Any) -> DrQv2:
    torch.manual_seed(0)
    actor = PixelActor(Pictures("camera", SIZE, 1), 2, 1, (16,), 8)
    shown = Seen(np.zeros((4, 2), np.float32), seen(4).numpy(), np.zeros((4, 1), np.float32))
    config = AgentConfig(hidden=(16,), batch_size=8, learning_rate=1e-3)
    return DrQv2(
        actor, shown, config, PictureConfig(size=SIZE, stack=1, device="cpu", auxiliary=auxiliary, **options), 0
    )


def batch() -> SteppedBatch:
    one = torch.ones(8)
    return SteppedBatch(torch.zeros(8, 2), torch.ones(8, 1), one, one, torch.zeros(8, 2), seen(8), seen(8), seen(8, 1))


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_agent_learns_its_auxiliary_losses(compiled: bool) -> None:
    learner = agent(AuxiliaryConfig(hidden=32), compiled=compiled)
    first = learner.update(batch())
    for _ in range(60):
        last = learner.update(batch())
    for name in LOSSES:
        assert last[f"{name}_loss"] < first[f"{name}_loss"]
    assert not torch.equal(learner.auxiliary.weights.w, torch.ones(5))  # type: ignore[union-attr]
    assert "auxiliary" in learner.networks
    assert "auxiliary" not in agent(None).networks


def test_with_weights_of_zero_the_encoder_learns_from_the_critics_alone() -> None:
    """The main gradient is the same then, so the first step of Adam is."""
    one, other = agent(None), agent(AuxiliaryConfig(combine="fixed", weights=(0.0,) * 5))
    for learner in (one, other):
        learner.update(batch(), train_actor=False)
    plain, joint = one.actor.encoder.state_dict(), other.actor.encoder.state_dict()
    assert all(torch.equal(plain[name], joint[name]) for name in plain)
    critics = one.critic.state_dict(), other.critic.state_dict()
    assert all(torch.equal(value, critics[1][name]) for name, value in critics[0].items())


@pytest.mark.slow
def test_an_expert_that_sees_learns_with_them(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    pictures = {**asdict(small())["pictures"], "auxiliary": {"hidden": 8, "rate": 0.1}}
    config = small(pictures=pictures, steps=120)
    reports: list[dict[str, Any]] = []

    def learn(**also: Any) -> bool:
        return learn_expert(config, SeenPoint, [demonstration()], DESCRIPTION, tmp_path, **also).finished

    # Stopped shortly before its end, for only then is there a state to look at.
    assert not learn(on_progress=reports.append, should_stop=lambda: bool(reports) and reports[-1]["step"] > 100)
    tensors, _ = load_checkpoint(tmp_path / "training", KIND)
    assert not torch.equal(tensors["auxiliary.weights.w"], torch.ones(5))
    assert learn()
    assert ExpertPolicy.load(tmp_path).actor.encoder.feature == 8


def test_settings() -> None:
    read = learn_config({"pictures": {"auxiliary": {"losses": ["egomotion", "autoencoder"], "horizon": 1}}})
    assert read.pictures is not None
    assert read.pictures.auxiliary == AuxiliaryConfig(("egomotion", "autoencoder"), horizon=1)
    assert learn_config({"pictures": {}}).pictures == PictureConfig()
    for wrong in (
        {"losses": ["depth"]},
        {"combine": "best"},
        {"horizon": 0},
        {"rate": -1.0},
        {"weights": [1.0]},
        {"n": 5},
    ):
        with pytest.raises(ConfigError, match="auxiliary"):
            learn_config({"pictures": {"auxiliary": wrong}})
    with pytest.raises(ValueError, match="combine: fixed"):
        replace(AuxiliaryConfig(), weights=(1.0,) * 5)
