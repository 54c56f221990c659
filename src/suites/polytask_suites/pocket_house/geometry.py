"""Rays, boxes and segments in the plane, for many at once."""

from __future__ import annotations

import numpy as np

from polytask_suites.batch import Vector

FAR = 1e9


def length(vectors: Vector) -> Vector:
    """Lengths (B,) of vectors (B, 2)."""
    lengths: Vector = np.sqrt((vectors * vectors).sum(axis=1))
    return lengths


def from_boxes(points: Vector, boxes: Vector) -> Vector:
    """To points (B, 2) from what is nearest to them of boxes (n, 4), 0 inside; float64 (B, 2)."""
    x, y = points[:, 0, None], points[:, 1, None]
    aside = np.minimum(x - boxes[:, 0], 0.0) + np.maximum(x - boxes[:, 2], 0.0)
    above = np.minimum(y - boxes[:, 1], 0.0) + np.maximum(y - boxes[:, 3], 0.0)
    row, nearest = np.arange(len(points)), (aside * aside + above * above).argmin(axis=1)
    off: Vector = np.stack([aside[row, nearest], above[row, nearest]], axis=1)
    return off


def from_segment(points: Vector, start: Vector, end: Vector) -> Vector:
    """To points (B, 2) from what is nearest to them of segments from ``start`` (2,) to ``end`` (B, 2); (B, 2)."""
    along, way = end - start, points - start
    share = np.clip((along * way).sum(axis=1) / (along * along).sum(axis=1), 0.0, 1.0)
    off: Vector = way - share[:, None] * along
    return off


def ray_to_boxes(points: Vector, directions: Vector, boxes: Vector) -> Vector:
    """How far a ray goes from points (B, 2) along unit directions (B, 2) to a box of (n, 4); float64 (B,)."""
    inverse = 1.0 / np.where(directions == 0.0, 1e-12, directions)
    first = (boxes[None, :, :2] - points[:, None]) * inverse[:, None]
    second = (boxes[None, :, 2:] - points[:, None]) * inverse[:, None]
    enters, leaves = np.minimum(first, second).max(axis=2), np.maximum(first, second).min(axis=2)
    hits = (leaves >= enters) & (leaves >= 0.0)
    distance: Vector = np.where(hits, np.maximum(enters, 0.0), FAR).min(axis=1)
    return distance


def rays_to_segment(points: Vector, angles: Vector, start: Vector, end: Vector) -> Vector:
    """How far rays go from points (B, 2) at angles (B, k) to segments from ``start`` (2,) to ``end`` (B, 2); (B, k)."""
    along, off = end - start, start - points
    cosine, sine = np.cos(angles), np.sin(angles)
    # off + share * along = distance * ray
    across = cosine * along[:, 1, None] - sine * along[:, 0, None]
    across = np.where(np.abs(across) < 1e-9, 1e-9, across)
    distance = (off[:, 0] * along[:, 1] - off[:, 1] * along[:, 0])[:, None] / across
    share = (off[:, 0, None] * sine - off[:, 1, None] * cosine) / across
    hits = (distance >= 0.0) & (share >= 0.0) & (share <= 1.0)
    found: Vector = np.where(hits, distance, FAR)
    return found
