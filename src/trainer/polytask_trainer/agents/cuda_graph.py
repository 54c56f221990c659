"""An update played back as one CUDA graph: a GPU starts its hundreds of kernels faster than Python asks for them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 3
"""Calls before recording: in these, libraries choose their kernels, and code is generated."""


class Graphed:
    """A function of tensors on a GPU, each of one shape, that is recorded and from then on played back.

    All that it reads and writes beside its arguments has to stay where it is in memory: parameters, optimisers made
    with ``capturable``, and the generator, which must be the GPU's. What it returns is overwritten by the next call.
    """

    def __init__(self, function: Callable[..., dict[str, Tensor]], generator: torch.Generator) -> None:
        """``generator`` is the one that the function draws from."""
        self._function, self._generator = function, generator
        self._calls = 0
        self._stream = torch.cuda.Stream()
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: list[Tensor] = []
        self._outputs: dict[str, Tensor] = {}

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Do what the function does."""
        self._calls += 1
        if self._calls <= WARM_UP:
            return self._aside(inputs)
        if self._graph is None:
            self._graph = self._record(inputs)
        for kept, new in zip(self._inputs, inputs, strict=True):
            kept.copy_(new)
        self._graph.replay()
        return self._outputs

    def _aside(self, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Call it on the stream that it will be recorded on, as CUDA demands of what comes before that."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            found = self._function(*inputs)
        torch.cuda.current_stream().wait_stream(self._stream)
        return found

    def _record(self, inputs: tuple[Tensor, ...]) -> torch.cuda.CUDAGraph:
        """Record it; nothing is computed meanwhile."""
        self._inputs = [one.clone() for one in inputs]
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._generator)
        with torch.cuda.graph(graph, stream=self._stream):
            self._outputs = self._function(*self._inputs)
        return graph
