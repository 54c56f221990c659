"""Optical flow between two pictures, from OpenCV, as a target of learning.

It is computed when a transition is drawn, 0.07 ms for a pair at 24 pixels: a tenth of an update's time. Computed when
it is stored it would take a sixtieth of that, but every replay would need a place for it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = 24
"""Pixels to which larger pictures are brought before."""
CELLS = 6
"""On either side of the result."""
LARGEST = 4.0
"""Pixels; where nothing is to be seen the method may find a multiple."""


def optical_flow(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the flow float32 (B, 2, CELLS, CELLS), right and down, from frames uint8 (B, 3, S, S) to others.

    Farneback's method on grey pictures, averaged over cells, in pixels of the picture (of SIZE, where it is larger).
    """
    pairs = zip(before.transpose(0, 2, 3, 1), after.transpose(0, 2, 3, 1), strict=True)
    found = [_cells(_grey(one), _grey(other)) for one, other in pairs]
    return np.stack(found).transpose(0, 3, 1, 2)


def _grey(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if len(grey) > SIZE:
        grey = cv2.resize(grey, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return np.asarray(grey, dtype=np.uint8)


def _cells(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32]:
    flow = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 2, 7, 2, 5, 1.1, 0)
    cells: NDArray[np.float32] = cv2.resize(flow.clip(-LARGEST, LARGEST), (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    return cells
