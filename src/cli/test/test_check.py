"""`./polytask test`: a lost worker keeps no test from running, and what failed gets one more try, which is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytask_cli.commands import check
from polytask_cli.run_record import Record

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

CRASHES = """
import os, signal, pytest

@pytest.mark.parametrize("number", range(3))
def test_one(number):
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "flaky.txt").write_text("# none\n")
    return tmp_path


def test_lost_workers_keep_no_test_from_running(project: Path) -> None:
    for name in ("a", "b"):
        (project / f"test_{name}.py").write_text(CRASHES)
    (project / "test_c.py").write_text("def test_it():\n    open('c-ran', 'a').write('once')\n")
    (project / "test_d.py").write_text("def test_it():\n    open('d-ran', 'a').write('once')\n    assert False\n")
    record = Record()
    options = ["-q", "-n", "2", "--dist", "loadfile"]
    assert check.run_pytest(project, options, record, [f"test_{name}.py" for name in "abcd"]) == 1
    assert sorted(record.crashed) == ["test_a.py::test_one[1]", "test_b.py::test_one[1]"]
    assert record.failed == ["test_d.py::test_it"]
    assert record.missed == []
    assert (project / "c-ran").read_text() == (project / "d-ran").read_text() == "once"


def test_pytests_own_failure_is_none_of_a_test(project: Path) -> None:
    (project / "conftest.py").write_text("def pytest_sessionfinish():\n    raise RuntimeError\n")
    (project / "test_it.py").write_text("def test_it():\n    pass\n")
    assert check.run_pytest(project, ["-q"], Record()) not in (0, 1)


@pytest.mark.parametrize(
    ("files", "count", "again"), [(1, 1, 0), (1, check.FEW + 1, 0), (check.FEW + 1, 1, check.FEW + 1)]
)
def test_what_failed_is_run_once_more(project: Path, files: int, count: int, again: int) -> None:
    for number in range(files):
        (project / f"test_{number}.py").write_text(FAILS_ONCE.format(count=count, file=number))
    record = Record()
    assert check.run_pytest(project, ["-q"], record) == 1
    assert len(record.failed) == files * count
    assert len(check.second_try(project, record).failed) == again


def test_what_fails_again_has_failed(project: Path) -> None:
    (project / "test_it.py").write_text("def test_it():\n    assert False\n")
    assert check.second_try(project, Record(failed=["test_it.py::test_it"])).failed == ["test_it.py::test_it"]


@pytest.mark.parametrize(
    ("record", "again", "allowed", "said", "good"),
    [
        (Record(), Record(), set(), [], True),
        (Record(failed=["a"]), Record(failed=["a"]), set(), ["failed: a"], False),
        (Record(failed=["a"]), Record(failed=["a"]), {"a"}, ["failed: a"], False),
        (Record(crashed=["a"]), Record(), {"a"}, ["took its process with it: a"], False),
        (Record(missed=["a", "b"]), Record(), set(), ["never ran: a", "never ran: b"], False),
        (Record(failed=["a"]), Record(), {"a"}, ["flaky: a"], True),
        (Record(failed=["f.py::a"]), Record(), {"f.py"}, ["flaky: f.py::a"], True),
        (
            Record(failed=["a", "b"], others=0.2),
            Record(),
            {"a"},
            [
                "flaky: a",
                "flaky: b",
                "1 flaky and not in test/flaky.txt, which only shrinks: mend test or code",
            ],
            False,
        ),
        (
            Record(failed=["a"], others=0.631),
            Record(),
            set(),
            ["flaky: a", "no verdict on what was flaky: other programs had 63% of the processors"],
            True,
        ),
        (Record(failed=["a"], others=0.9), Record(failed=["a"]), set(), ["failed: a"], False),
    ],
)
def test_the_verdict(record: Record, again: Record, allowed: set[str], said: list[str], good: bool) -> None:
    assert check.verdict(record, again, allowed) == (said, good)


def test_the_list_of_flaky_tests_does_not_grow(project: Path) -> None:
    names = check.allowed_to_be_flaky(Path(__file__).parents[3])
    assert len(names) <= 69, "69 since 27 November 2026; this number may be lowered, never raised"
    assert all((Path(__file__).parents[3] / name.partition("::")[0]).is_file() for name in names)
    (project / "test" / "flaky.txt").write_text("# why\n\ntest/test_it.py::test_it[a b]\n")
    assert check.allowed_to_be_flaky(project) == {"test/test_it.py::test_it[a b]"}


def test_files_with_a_mark(project: Path) -> None:
    package = project / "src" / "package" / "test"
    package.mkdir(parents=True)
    (package / "test_a.py").write_text("@pytest.mark.alone\n")
    (package / "test_b.py").write_text("@pytest.mark.slow\n")
    (project / "test" / "test_c.py").write_text("pytestmark = pytest.mark.alone\n")
    assert check.files_with_the_mark(project, "alone") == ["src/package/test/test_a.py", "test/test_c.py"]
