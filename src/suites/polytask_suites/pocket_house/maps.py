"""Precomputed maps of the house: ranges to fixed objects, and shortest ways round them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from polytask_suites.batch import Indices, Vector
from polytask_suites.pocket_house import layout
from polytask_suites.pocket_house.geometry import from_boxes, from_segment, length, ray_to_boxes
from polytask_suites.pocket_house.layout import HALF_HEIGHT, HALF_WIDTH, HINGE, OPEN, RADIUS

FINE, COARSE = 0.1, 0.2
"""Metres: cells of the ranges, cells of the ways."""
MARGIN = 0.02
"""Metres that ways keep from what is in them, so that who follows them roughly gets through."""
ANGLES = 96
"""Directions of the ranges, evenly round."""
SIGHT = 4.0
"""Metres that the scanner sees."""
SOLID: Vector = np.concatenate([layout.WALLS, layout.FURNITURE])
_NEIGHBOURS = [(1, 0), (0, 1), (1, 1), (1, -1), (2, 1), (1, 2), (2, -1), (1, -2)]


@dataclass(frozen=True)
class Maps:
    """Tables over the house's cells."""

    ranges: npt.NDArray[np.float32]
    """float32 (cells, ANGLES): metres to walls and furniture from a fine cell's middle, at most SIGHT."""
    ways: npt.NDArray[np.float32]
    """float32 (2, cells, cells): metres that the base drives from one coarse cell to another, with the fridge shut and
    open. From where it cannot be, they are counted from the nearest place where it can."""
    starts: Indices
    """Coarse cells anywhere in which the base is free."""
    rooms: npt.NDArray[np.str_]
    """Room of each of ``starts``."""

    def way(self, points: Vector, cells: Indices, opened: npt.NDArray[np.bool_]) -> Vector:
        """Metres (B,) for the base from points (B, 2) to the middles of coarse cells (B,), smooth in the points.

        ``opened`` bool (B,): whether the fridge is.
        """
        columns, rows = grid(COARSE)
        x = np.clip((points[:, 0] + HALF_WIDTH) / COARSE - 0.5, 0.0, columns - 1.001)
        y = np.clip((points[:, 1] + HALF_HEIGHT) / COARSE - 0.5, 0.0, rows - 1.001)
        column, row = x.astype(np.int64), y.astype(np.int64)
        x, y = x - column, y - row
        table, corner = opened.astype(np.int64), column * rows + row
        near = (1.0 - y) * self.ways[table, cells, corner] + y * self.ways[table, cells, corner + 1]
        far = (1.0 - y) * self.ways[table, cells, corner + rows] + y * self.ways[table, cells, corner + rows + 1]
        found: Vector = (1.0 - x) * near + x * far
        return found


def grid(size: float) -> tuple[int, int]:
    """Columns and rows of cells of that size."""
    return round(2 * HALF_WIDTH / size), round(2 * HALF_HEIGHT / size)


@functools.cache
def middles(size: float) -> Vector:
    """The middles float64 (cells, 2) of all cells, column by column."""
    columns, rows = grid(size)
    x, y = np.meshgrid(np.arange(columns), np.arange(rows), indexing="ij")
    return (np.stack([x.ravel(), y.ravel()], axis=1) + 0.5) * size - (HALF_WIDTH, HALF_HEIGHT)


def cell(points: Vector, size: float) -> Indices:
    """Numbers int64 (B,) of the cells in which points (B, 2) lie."""
    columns, rows = grid(size)
    x = np.clip(((points[:, 0] + HALF_WIDTH) / size).astype(np.int64), 0, columns - 1)
    y = np.clip(((points[:, 1] + HALF_HEIGHT) / size).astype(np.int64), 0, rows - 1)
    return x * rows + y


@functools.lru_cache(maxsize=1)
def maps() -> Maps:
    """The tables; made in a second or so, once in a process. Nobody may change them."""
    places = middles(COARSE)
    starts = np.flatnonzero(length(from_boxes(places, SOLID)) > RADIUS + 0.71 * COARSE)
    rooms = np.empty(len(starts), "U16")
    for name, (left, bottom, right, top) in layout.ROOMS.items():
        x, y = places[starts].T
        rooms[(x > left) & (x < right) & (y > bottom) & (y < top)] = name
    # A door that counts as open may stand anywhere between OPEN and 1.
    ways = np.stack([_ways([]), _ways([OPEN, (OPEN + 1.0) / 2.0, 1.0])])
    return Maps(_ranges(), ways, starts, rooms)


def _ranges() -> npt.NDArray[np.float32]:
    places = middles(FINE)
    table = np.empty((len(places), ANGLES), np.float32)
    for index, angle in enumerate(2.0 * np.pi * np.arange(ANGLES) / ANGLES):
        directions = np.broadcast_to([np.cos(angle), np.sin(angle)], places.shape)
        table[:, index] = np.minimum(ray_to_boxes(places, directions, SOLID), SIGHT)
    return table


def clear(points: Vector, openings: Iterable[float], margin: float) -> npt.NDArray[np.bool_]:
    """Where a base is free of all that stands still and of the fridge's door at all of ``openings``, bool (B,)."""
    distance = length(from_boxes(points, SOLID))
    for opening in openings:
        end: Vector = np.broadcast_to(layout.handles(np.array([[opening, 0.0]]))[0][0, 0], points.shape)
        distance = np.minimum(distance, length(from_segment(points, HINGE, end)))
    free: npt.NDArray[np.bool_] = distance >= RADIUS + margin
    return free


def _ways(openings: Sequence[float]) -> npt.NDArray[np.float32]:
    """All shortest ways between coarse cells; steps go to 16 neighbours, if all between is free."""
    columns, rows = grid(COARSE)
    places = middles(COARSE)
    table = np.arange(len(places)).reshape(columns, rows)
    free = clear(places, openings, MARGIN)
    begins, ends = [], []
    for right, up in _NEIGHBOURS:
        here = table[: columns - right, max(-up, 0) : rows - max(up, 0)].ravel()
        there = here + right * rows + up
        passable = free[here] & free[there]
        for share in (0.25, 0.5, 0.75):
            passable &= clear((1.0 - share) * places[here] + share * places[there], openings, MARGIN)
        begins.append(here[passable])
        ends.append(there[passable])
    begin, end = np.concatenate(begins), np.concatenate(ends)
    lengths = np.sqrt(((places[begin] - places[end]) ** 2).sum(axis=1))
    graph = csr_matrix((lengths, (begin, end)), shape=(len(places), len(places)))
    number = np.flatnonzero(free)
    ways = dijkstra(graph[number][:, number], directed=False)
    if not np.isfinite(ways).all():
        raise ValueError("some part of the house cannot be reached from another")
    # Where the base cannot be, count from the nearest cell where it can.
    away, nearest = distance_transform_edt(~free.reshape(columns, rows), sampling=COARSE, return_indices=True)
    position = np.zeros(len(places), np.int64)
    position[number] = np.arange(len(number))
    instead = position[table[tuple(nearest)].ravel()]
    full = ways[np.ix_(instead, instead)] + away.ravel()[None]
    return np.asarray(full, np.float32)
