"""Check of stamps against the order of arrival: clocks that differ, jump, or are not read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from polytask_robot_io.embodiment import Embodiment

REMEDY = "let chrony or ntp keep the clocks of all machines together, or set use_sim_time on every node or on none"
CAMERA_AHEAD = 2.5
"""Control periods by which a picture may be stamped later than the newest state: it may come before its own state."""


class Arrival(NamedTuple):
    """A state, and when it came."""

    stamp_ns: int
    """Its header's stamp."""
    place: int
    """How many messages of the episode came before it."""
    log_ns: int
    """The recorder's clock."""


def set_clock(states: Sequence[Arrival], back_ns: int, embodiment: Embodiment) -> str:
    """Why the states' stamps cannot be used; empty where they can.

    ``back_ns``: furthest that a state's stamp was behind the newest before it. Stamps that leap further than the
    states' arrival are of a clock that was put forward; messages that were merely lost leave a gap in both.
    """
    if back_ns > min(embodiment.period_ns, embodiment.max_age_ns):
        return (
            f"the state's stamps go back by {back_ns * 1e-9:.2f} s: a clock was set back meanwhile, or two nodes "
            f"publish the state; {REMEDY}"
        )
    if len(states) < 3:
        return ""
    stamps = np.array([one.stamp_ns - states[0].stamp_ns for one in states], dtype=np.float64)
    logs = np.array([one.log_ns - states[0].log_ns for one in states], dtype=np.float64)
    steps, waits = np.diff(stamps), np.diff(logs)
    usual = float(np.median(waits) / np.median(steps))  # 1 in real time
    # How early each came; one that was held up came late, so the earliest count.
    early = usual * stamps - logs
    before, after = np.maximum.accumulate(early)[:-1], np.maximum.accumulate(early[::-1])[::-1][1:]
    half = 0.5 * usual * steps
    leaps = np.flatnonzero((steps > embodiment.max_age_ns) & (waits < half) & (after - before > half))
    if usual <= 0 or not len(leaps):
        return ""
    place = int(leaps[0])
    return (
        f"the state's stamps leap by {steps[place] * 1e-9:.2f} s after step {place}, while {waits[place] * 1e-9:.2f} s "
        f"passed: a clock was put forward meanwhile; {REMEDY}"
    )


def camera_clocks(beside: Mapping[str, Sequence[int]], embodiment: Embodiment) -> tuple[list[str], list[str]]:
    """What is wrong with pictures' stamps, and what is worth a remark.

    ``beside``: by topic, each message's stamp minus that of the newest state that had come by then, ns. Pictures are
    joined to states by their stamps, so one that is stamped in the future belongs to another state than it says.
    """
    wrong, remarks = [], []
    for camera in embodiment.cameras:
        if not (found := beside.get(camera.topic)):
            continue
        ahead = float(np.median(found))
        if ahead > CAMERA_AHEAD * embodiment.period_ns:
            wrong.append(f"{camera.topic}: its stamps are {ahead * 1e-9:.2f} s ahead of the state's; {REMEDY}")
        elif -ahead > embodiment.max_age_ns:
            remarks.append(
                f"{camera.topic}: pictures come {-ahead * 1e-9:.2f} s after the state of that stamp, or their clock is "
                f"behind; a policy would find them too old. If it is the clock: {REMEDY}"
            )
    return wrong, remarks


def command_clock(beside: Sequence[int], unstamped: int, embodiment: Embodiment) -> list[str]:
    """What is worth a remark on commands that answer no observation; their alignment does not depend on their stamps.

    ``beside``: as above, of those with a stamp; ``unstamped``: how many have none.
    """
    remarks = []
    if unstamped:
        remarks.append(f"{embodiment.command_topic}: {unstamped} without a stamp; a robot may refuse such commands")
    skew = float(np.median(beside)) if beside else 0.0
    if abs(skew) > embodiment.max_age_ns:
        way = "ahead of" if skew > 0 else "behind"
        remarks.append(
            f"{embodiment.command_topic}: its stamps are {abs(skew) * 1e-9:.2f} s {way} the state's, so it was aligned "
            f"by arrival; {REMEDY}"
        )
    return remarks
