"""Shared memory of killed nodes is set free, that of living ones is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from polytask_cli import shared_memory
from polytask_cli.shared_memory import remove_leftovers

NODE = """
import sys, rclpy
rclpy.init()
node = rclpy.create_node("holds_memory")
print("up", flush=True)
sys.stdin.read()
"""


def held_by(pid: int) -> set[Path]:
    """Locks that a process has open."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        target = Path(os.readlink(link))
        if shared_memory.SEGMENT_LOCK.fullmatch(target.name):
            found.add(target)
    return found


@pytest.mark.usefixtures("ros_domain")
def test_only_the_dead_lose_their_memory():
    process = subprocess.Popen([sys.executable, "-c", NODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    own = held_by(process.pid)
    assert own
    segments = [path.with_name(path.name.removesuffix("_el")) for path in own]

    remove_leftovers()
    assert all(path.exists() for path in own)
    process.kill()
    process.wait()
    remove_leftovers()
    assert all(path.exists() for path in own), "one so young may belong to a node that is just starting"

    for path in own:
        os.utime(path, (0, 0))
    assert remove_leftovers() > 1e6
    assert not any(path.exists() for path in [*own, *segments])


def test_other_files_stay(tmp_path):
    names = (
        "fastdds_port7001_el",
        "other_0123456789abcdef_el",
        "fastdds_0123456789abcdef",
        "sem.fastdds_port7001_mutex",
    )
    for name in (*names, "fastdds_0123456789abcdef_el"):
        (tmp_path / name).write_bytes(b"12345")
        os.utime(tmp_path / name, (0, 0))
    assert remove_leftovers(tmp_path) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(set(names) - {"fastdds_0123456789abcdef"})
    assert remove_leftovers(tmp_path / "nothing") == 0
