"""Makes the helper modules beside the tests importable; devices that a test is done on."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=on_gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """Name of a torch device: the CPU, and a GPU where there is one."""
    name: str = request.param
    return name
