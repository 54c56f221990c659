"""Where the networks compute: on a GPU where there is one, else on the CPU."""

from __future__ import annotations

from typing import Literal

import torch

Device = Literal["auto", "cpu", "cuda"]


def torch_device(name: str) -> torch.device:
    """Return the device of that name; ``auto`` is a GPU where there is one. Raises ValueError where there is none.

    On a GPU products of float32 matrices are made in TF32 (10 bits of mantissa) from then on, as convolutions are.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        reason = "finds no GPU" if torch.version.cuda else "is a build for CPUs alone"
        raise ValueError(f"device is {name}, but torch {torch.__version__} {reason}: set it to auto or cpu")
    torch.set_float32_matmul_precision("high")
    return torch.device("cuda")


def quick_in_bf16(device: torch.device) -> bool:
    """Whether it has instructions for bfloat16; a CPU without them takes several times as long as in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    known = torch.cpu.get_capabilities()
    return any(known.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def device_name(device: torch.device) -> str:
    """Name a device as a log should: "cpu", or a GPU's model."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
