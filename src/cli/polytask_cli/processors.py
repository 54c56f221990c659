"""Processor time that other programs used while the tests ran: a test that is late then cannot be judged."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

BUSY = 0.25
"""Share of all processors that others take, above which a measured time says nothing about our code."""

_RUN = "POLYTASK_TEST_RUN"
"""Environment variable with the process under which all of a test run stands."""


@dataclass(frozen=True)
class Processors:
    """Seconds that all processors together have spent, counted from some time in the past."""

    total: float
    busy: float
    ours: float
    """In this test run: its first process and all that descend from it."""

    @staticmethod
    def now() -> Processors:
        """What /proc counts until now. What a hypervisor took away counts as busy."""
        tick = os.sysconf("SC_CLK_TCK")
        first = Path("/proc/stat").read_text().split("\n", 1)[0]
        user, nice, system, idle, waiting, *others = map(int, first.split()[1:9])
        busy = user + nice + system + sum(others)
        return Processors((busy + idle + waiting) / tick, busy / tick, _descendants(_first_process()) / tick)

    def others_since(self, before: Processors) -> float:
        """The share in [0, 1] of all processors that programs outside this test run had since then."""
        others = (self.busy - before.busy) - (self.ours - before.ours)
        return min(1.0, max(0.0, others / max(self.total - before.total, 1e-9)))


def _first_process() -> int:
    return int(os.environ.setdefault(_RUN, str(os.getpid())))


def _descendants(first: int) -> int:
    """Ticks of that process and its descendants, with what those had that have ended."""
    ticks: dict[int, int] = {}
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        number = int(stat.parent.name)
        parents[number], ticks[number] = int(words[1]), sum(map(int, words[11:15]))

    def ours(number: int) -> bool:
        while number != first:
            if number not in parents:
                return False
            number = parents[number]
        return True

    return sum(spent for number, spent in ticks.items() if ours(number))
