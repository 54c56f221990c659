"""A pytest plugin that writes down what ran: the tests of a lost worker are known, and can be run by another.

Used by `./polytask test`: ``pytest -p polytask_cli.run_record --record=FILE``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from polytask_cli.processors import Processors


@dataclass
class Record:
    """Names of tests, as pytest writes them."""

    failed: list[str] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)
    """Those that took the worker with them."""
    missed: list[str] = field(default_factory=list)
    """Collected, but no word was heard of them."""
    others: float = 0.0
    """The share of the processors that other programs had meanwhile."""

    @staticmethod
    def read(path: Path) -> Record:
        """What a run wrote; an empty record where it wrote none."""
        try:
            return Record(**json.loads(path.read_text()))
        except FileNotFoundError:
            return Record()


class _Recorder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.began = Processors.now()
        self.collected: dict[str, None] = {}
        self.heard: set[str] = set()
        self.failed: dict[str, None] = {}
        self.crashed: dict[str, None] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.collected.update(dict.fromkeys(item.nodeid for item in session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self.collected.update(dict.fromkeys(ids))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when not in ("setup", "call", "teardown"):  # xdist's way to say that its worker is gone
            self.crashed[report.nodeid] = None
            self.heard.add(report.nodeid)
        elif report.failed:
            self.failed[report.nodeid] = None
        if report.when == "teardown":
            self.heard.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        missed = [name for name in self.collected if name not in self.heard]
        others = Processors.now().others_since(self.began)
        record = Record(list(self.failed), list(self.crashed), missed, others)
        self.path.write_text(json.dumps(asdict(record)))


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that says where to write."""
    parser.addoption("--record", type=Path, help="write what ran, failed and was lost to this file")


def pytest_configure(config: pytest.Config) -> None:
    """Record in the process that hears of all tests, not in xdist's workers."""
    if config.option.record is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Recorder(config.option.record), "polytask-record")
