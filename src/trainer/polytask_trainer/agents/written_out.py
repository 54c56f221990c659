"""The agent of ``ddpg.py`` with its gradients written out: the same numbers in half the time.

On a CPU, products of matrices of this size take less time than autograd and the hundreds of small operations around
them. Here torch makes the products, in places that are kept, and numpy the little that lies between them. ``ddpg.py``
is what this is tested against: from the same state of the generator come the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from polytask_policy.networks import Actor
from polytask_trainer.agents.ddpg import DDPG, Losses, TwinCritic
from polytask_trainer.replay.states import Batch

Array = NDArray[np.float32]
_relu_backward = torch.ops.aten.threshold_backward.grad_input


class Layers:
    """A perceptron, or two as a batch: x_i+1 = relu(x_i W_i + b_i), without the relu at the end.

    It works on the parameters themselves, and keeps all x_i for the gradients. ``x`` (rows, in) is its input and
    ``out`` (rows, out), or (2, rows, out), its output, which ``last`` is as a tensor.
    """

    def __init__(self, weights: Sequence[Tensor], biases: Sequence[Tensor], x: Tensor) -> None:
        """``weights`` are (in, out) or (2, in, out), ``biases`` (out,) or (2, 1, out)."""
        self._weights, self._biases = [one.detach() for one in weights], [one.detach() for one in biases]
        twins = self._weights[0].shape[:-2]
        self._x = [x.expand(*twins, -1, -1), *(x.new_empty(*twins, len(x), one.shape[-1]) for one in self._weights)]
        self._dx = [torch.empty_like(one, memory_format=torch.contiguous_format) for one in self._x[:-1]]
        self.last = self._x[-1]
        self.x, self.out, self.dx = x.numpy(), self.last.numpy(), self._dx[0].numpy()
        self.d_weights, self.d_biases = (
            [torch.zeros_like(one) for one in own] for own in (self._weights, self._biases)
        )
        self._affine: Callable[..., Tensor] = torch.baddbmm if twins else torch.addmm
        self._product: Callable[..., Tensor] = torch.bmm if twins else torch.mm

    def forward(self) -> Array:
        """Work out ``out``."""
        x = self._x[0]
        for weight, bias, after in zip(self._weights, self._biases, self._x[1:], strict=True):
            x = self._affine(bias, x, weight, out=after)
            if after is not self.last:
                x.relu_()
        return self.out

    def backward(self, d_out: Tensor) -> None:
        """Work out the parameters' gradients, ``d_weights`` and ``d_biases``, from that of the output."""
        dx = d_out
        for i in reversed(range(len(self._weights))):
            # dL/dW_i = x_i^T dL/dx_i+1, and dL/db_i is the sum of dL/dx_i+1 over the rows.
            self._product(self._x[i].mT, dx, out=self.d_weights[i])
            torch.sum(dx, -2, keepdim=dx.ndim == 3, out=self.d_biases[i])
            if i:
                dx = self._before(i, dx)

    def d_input(self, d_out: Tensor) -> Array:
        """The gradient of the input, (rows, in) or (2, rows, in), from that of the output."""
        dx = d_out
        for i in reversed(range(len(self._weights))):
            dx = self._before(i, dx)
        return self.dx

    def _before(self, i: int, dx: Tensor) -> Tensor:
        """dL/dx_i = dL/dx_i+1 W_i^T; of what came out of a relu, where that is positive."""
        if dx.shape[-1] == 1:  # the same, and quicker
            dx = torch.mul(dx, self._weights[i].mT, out=self._dx[i])
        else:
            dx = self._product(dx, self._weights[i].mT, out=self._dx[i])
        return _relu_backward(dx, self._x[i], 0, grad_input=dx) if i else dx


class Adam:
    """A step of a fused ``torch.optim.Adam`` for gradients that lie where they always do, without its checks."""

    def __init__(self, optimizer: torch.optim.Adam, gradients: Sequence[Tensor]) -> None:
        """``gradients`` in the order of the optimizer's parameters."""
        self._optimizer, self._gradients = optimizer, list(gradients)
        [group] = optimizer.param_groups
        self.parameters: list[Tensor] = group["params"]
        beta1, beta2 = group["betas"]
        self._settings = {"lr": group["lr"], "beta1": beta1, "beta2": beta2, "eps": group["eps"]}
        self._settings |= {"weight_decay": 0.0, "amsgrad": False, "maximize": False}
        self._known: Any = None
        self._lists: tuple[list[Tensor], ...] = ()

    def __call__(self) -> None:
        """Move the parameters."""
        # What is remembered is new at the first step, which is the optimizer's own, and once a training is resumed.
        if self._optimizer.state is not self._known and not self._look():
            return
        self._step += 1
        torch._fused_adam_(*self._lists, **self._settings)

    def _look(self) -> bool:
        """Find what the optimizer remembers; False where it was nothing, and the step is made."""
        begins = not self._optimizer.state
        if begins:
            for parameter, gradient in zip(self.parameters, self._gradients, strict=True):
                parameter.grad = gradient
            self._optimizer.step()
        states = [self._optimizer.state[one] for one in self.parameters]
        self._known, self._step = self._optimizer.state, states[0]["step"]
        for state in states:
            state["step"] = self._step  # one for all
        first, second = ([one[name] for one in states] for name in ("exp_avg", "exp_avg_sq"))
        self._lists = (self.parameters, self._gradients, first, second, [], [self._step] * len(states))
        return not begins


class WrittenOut(DDPG[Actor]):
    """The agent, for actors that are one perceptron, and without what must not be forgotten meanwhile."""

    def __init__(self, *arguments: Any) -> None:
        """See :class:`DDPG`."""
        super().__init__(*arguments)
        config, rows, n, k = self.config, self.config.batch_size, self.actor.state_size, self.actor.action_size
        inputs = n + config.action_copies * k
        taken, slow = torch.zeros(rows, inputs), torch.zeros(rows, inputs)
        self._q, self._slow_q = _of_critics(self.critic, taken), _of_critics(self.target, slow)
        self._next_pi, self._pi = _of_actor(self.actor, slow[:, :n]), _of_actor(self.actor, torch.zeros(2 * rows, n))
        self._acting = _of_actor(self.actor, torch.zeros(1, n))
        own = zip(self._pi.d_weights, self._pi.d_biases, strict=True)
        self._step_actor = Adam(self.actor_optimizer, [one for weight, bias in own for one in (weight.mT, bias)])
        self._step_critic = Adam(self.critic_optimizer, [*self._q.d_weights, *self._q.d_biases])
        self._slow: tuple[list[Tensor], ...] = (list(self.target.parameters()), list(self.average.parameters()))
        self._normaliser = self.actor.normaliser.centre.numpy(), self.actor.normaliser.scale.numpy()
        self._shown = self.actor.see(self._demo_states).numpy(), self._demo_actions.numpy()
        self._actions, self._noise = torch.zeros(2 * rows, k), torch.zeros(rows, k)
        self._d_q, self._d_raw = torch.zeros(2, rows, 1), torch.zeros(2 * rows, k)
        # Factors of Eq. 1's gradients, each rounded as autograd does it.
        one, size = np.float32, np.float32(rows)
        self._of_q = one(config.bc_lambda - 1.0) / size
        self._of_bc = 2 * (one(config.bc_alpha * config.bc_lambda) / one(2.0 * config.bc_noise**2) / size)
        self._of_raw = 2 * (one(config.saturation) / one(2 * rows * k))

    @torch.inference_mode()
    def act(self, state: Array, noise: float) -> Array:
        """Return the action float32 (k,) for a state float32 (n,), with Gaussian noise, within [-1, 1]."""
        self._see(state, self._acting.x)
        self._acting.forward()
        mean = torch.tanh(self._acting.last[0])
        action: Array = (mean.numpy() + np.float32(noise) * self._normal(mean).numpy()).clip(-1.0, 1.0)
        return action

    @torch.inference_mode()
    def update(self, batch: Batch, train_actor: bool = True) -> Losses:
        """One step of the critics and, unless told otherwise, of the actor; returns losses for the log."""
        if len(batch.reward) != self.config.batch_size:
            raise ValueError(f"a batch has {len(batch.reward)} transitions, {self.config.batch_size} are agreed on")
        n = self.actor.state_size
        self._see(batch.state.numpy(), self._q.x[:, :n])
        self._see(batch.next_state.numpy(), self._slow_q.x[:, :n])
        log = self._critics(batch)
        return log | self._actor() if train_actor else log

    def _critics(self, batch: Batch) -> Losses:
        rows = len(batch.reward)
        # y = r + gamma^n min_k Q'_k(s', a'), a' = pi(s') + noise   (Eq. 8)
        self._next_pi.forward()
        torch.tanh(self._next_pi.last, out=self._actions[:rows])
        self._take(self._slow_q, self._near(self._actions[:rows].numpy()))
        slow_q = self._slow_q.forward()[..., 0]
        y = batch.reward.numpy() + batch.discount.numpy() * np.minimum(slow_q[0], slow_q[1])
        # L = sum_k mean (Q_k(s, a) - y)^2   (Eq. 7)
        self._take(self._q, batch.action.numpy())
        error = self._q.forward()[..., 0] - y
        np.multiply(error, 2.0 / rows, out=self._d_q.numpy()[..., 0])
        self._q.backward(self._d_q)
        self._step_critic()
        torch._foreach_lerp_(self._slow[0], self._step_critic.parameters, self.config.critic_rate)
        return {"critic_loss": float(np.square(error).sum()) / rows, "q": float(y.sum()) / rows}

    def _actor(self) -> Losses:
        config, rows, n, k = self.config, self.config.batch_size, self.actor.state_size, self.actor.action_size
        index = self._draw().numpy()
        shown = self._shown[1][index]
        self._pi.x[:rows], self._pi.x[rows:] = self._q.x[:, :n], self._shown[0][index]
        raw = self._pi.forward()
        torch.tanh(self._pi.last, out=self._actions)
        actions = self._actions.numpy()
        # L = -(1 - lambda) mean min_k Q_k(s, pi(s) + noise) + alpha lambda mean |pi(s_d) - a_d|^2 / (2 sigma^2)
        #     + saturation mean raw^2, where pi = tanh raw   (Eq. 1)
        self._take(self._q, self._near(actions[:rows]))
        q = self._q.forward()[..., 0]
        lower = np.sign(q[1] - q[0])
        d_q = self._d_q.numpy()[..., 0]
        d_q[0], d_q[1] = self._of_q / 2 * (1 + lower), self._of_q / 2 * (1 - lower)
        d_input = self._q.d_input(self._d_q)
        difference = actions[rows:] - shown
        d_raw = self._d_raw.numpy()
        d_raw[:rows] = (d_input[0] + d_input[1])[:, n:].reshape(rows, config.action_copies, k).sum(1)
        d_raw[rows:] = difference * self._of_bc
        torch.ops.aten.tanh_backward.grad_input(self._d_raw, self._actions, grad_input=self._d_raw)
        d_raw += raw * self._of_raw
        self._pi.backward(self._d_raw)
        self._step_actor()
        torch._foreach_lerp_(self._slow[1], self._step_actor.parameters, config.average_rate)
        bc = float(np.square(difference).sum()) / (rows * 2.0 * config.bc_noise**2)
        value, size = float(np.minimum(q[0], q[1]).sum()) / rows, float(np.square(raw).sum()) / raw.size
        loss = (config.bc_lambda - 1.0) * value + config.bc_alpha * config.bc_lambda * bc + config.saturation * size
        return {"actor_loss": loss, "bc_loss": bc}

    def _see(self, states: Array, out: Array) -> None:
        """Normalise states (..., n)."""
        np.subtract(states, self._normaliser[0], out=out)
        out /= self._normaliser[1]

    def _near(self, actions: Array) -> Array:
        """Actions (B, k) with the smoothing noise."""
        bound = self.config.noise_clip
        noise = self._noise.normal_(generator=self.generator).numpy()
        noise *= self.config.noise
        near: Array = (actions + noise.clip(-bound, bound, out=noise)).clip(-1.0, 1.0)
        return near

    def _take(self, critics: Layers, actions: Array) -> None:
        """Show actions (B, k) to the critics, as often as they are used to."""
        rows, k = actions.shape
        shown = critics.x[:, self.actor.state_size :].reshape(rows, self.config.action_copies, k)
        shown[:] = actions[:, None]


def _of_actor(actor: Actor, x: Tensor) -> Layers:
    linear = [one for one in actor.layers if isinstance(one, nn.Linear)]
    return Layers([one.weight.mT for one in linear], [one.bias for one in linear], x)


def _of_critics(critic: TwinCritic, x: Tensor) -> Layers:
    return Layers(list(critic.weights), list(critic.biases), x)
