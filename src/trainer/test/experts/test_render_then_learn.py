"""A picture, then an optimizer, in one process."""

import subprocess
import sys

CODE = """
from polytask_suites import make_env

env = make_env("tabletop", "reach", cameras=True)
env.reset(seed=0)
import torch

torch.optim.Adam([torch.nn.Parameter(torch.zeros(3))], lr=1e-3)
print("an optimizer after a picture")
"""


def test_an_optimizer_can_be_made_after_a_picture():
    """A segmentation fault once, where torch is PyPI's build (with triton) and Mesa draws in software.

    With torch's CPU build, which has no triton, this cannot fail: `.ci/run --torch pypi` runs it with the other; what
    keeps the two LLVMs apart is tested everywhere, in sim_bridge's test_rendering_processes.py.
    """
    ended = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=110)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "an optimizer after a picture\n", "")
