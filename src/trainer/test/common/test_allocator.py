"""Whether a job that learns keeps the memory that it frees; in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

JOB = """
from polytask_trainer.jobs.spec import DistillJob, JobRefused
from polytask_trainer.jobs.execute import run
try:
    run(DistillJob(("no/expert",), "{output}", 1, 0), print, lambda: False)
except JobRefused:
    pass
"""
FREED = """
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

before = resident()
block = b"x" * (256 << 20)
del block
print(resident() - before)
"""


def kept(script: str) -> int:
    """Bytes resident of a block of 256 MiB that was filled and freed."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's matter")
def test_a_job_keeps_the_pages_that_it_frees(tmp_path: Path) -> None:
    assert kept(FREED) < 32 << 20
    assert kept(JOB.format(output=tmp_path / "policy") + FREED) > 224 << 20
