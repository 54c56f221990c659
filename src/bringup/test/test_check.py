"""`./polytask test`: what failed gets one more try, unless many files failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from polytask_bringup.commands.check import FEW, _once_more

FAILS_ONCE = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_one(number):
    mark = Path(__file__).with_name(f"mark-{file}-{{number}}")
    seen = mark.exists()
    mark.touch()
    assert seen
"""


@pytest.mark.parametrize(("files", "count", "status"), [(1, 1, 0), (1, FEW + 1, 0), (FEW + 1, 1, 1)])
def test_what_failed_is_run_once_more(tmp_path: Path, files: int, count: int, status: int) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for number in range(files):
        (tmp_path / f"test_{number}.py").write_text(FAILS_ONCE.format(count=count, file=number))
    first = subprocess.run([sys.executable, "-m", "pytest", "-q", "-n", "2"], cwd=tmp_path, capture_output=True)
    assert first.returncode == 1
    assert _once_more(sys.executable, tmp_path) == status


def test_what_fails_again_has_failed(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text("def test_it():\n    assert False\n")
    subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=tmp_path, capture_output=True)
    assert _once_more(sys.executable, tmp_path) == 1
