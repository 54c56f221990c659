"""One driver at a time: of several programs that publish commands, the first that drives is obeyed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Publisher(NamedTuple):
    """Somebody who publishes commands."""

    gid: bytes
    """The middleware's identifier of the publisher."""
    node: str
    """Its node's full name."""


class OneDriver:
    """Holds the robot for one publisher until it stops it, falls silent or is gone."""

    def __init__(self, patience: float, publishers: Callable[[], Sequence[Publisher]]) -> None:
        """``patience``: s of silence after which another may drive; ``publishers``: gives those that there are now."""
        self._patience = patience
        self._publishers = publishers
        self._gid: bytes | None = None
        self._heard = 0.0

    def release(self) -> None:
        """The next one who drives is obeyed."""
        self._gid = None

    def drives(self, gid: bytes, now: float) -> None:
        """The publisher ``gid`` was obeyed at ``now`` (s of a steady clock)."""
        self._gid, self._heard = gid, now

    def why_not(self, gid: bytes, now: float) -> str:
        """Empty when ``gid`` may drive at ``now``, otherwise who drives and what to do."""
        if self._gid in (None, gid) or now - self._heard > self._patience:
            return ""
        known = {one.gid: one.node for one in self._publishers()}
        if self._gid not in known:
            return ""  # it has left
        return (
            f"one comes from '{known.get(gid, 'a node unknown')}' while '{known[self._gid]}' drives, of "
            f"{len(known)} publishers of commands ({', '.join(sorted(known.values()))}); stop all but one, or wait "
            f"until it has been silent for {self._patience:g} s"
        )
