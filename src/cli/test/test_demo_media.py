"""GIFs, strips and the videos side by side."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from polytask_cli.video.media import data_uri, encode, gif, spread_indices, strip
from polytask_cli.video.montage import Video, montage


def frames(count: int, colour: tuple[int, int, int]) -> list[np.ndarray]:
    pictures = [np.full((30, 40, 3), 200, dtype=np.uint8) for _ in range(count)]
    for number, picture in enumerate(pictures):
        picture[10:20, number : number + 5] = colour
    return pictures


def test_a_gif_keeps_pace_size_and_colours() -> None:
    image = Image.open(io.BytesIO(gif(frames(6, (200, 20, 20)), 10.0, hold=1.0)))
    assert (image.n_frames, image.size) == (6, (40, 30))
    assert image.info["duration"] == 100
    assert np.abs(np.asarray(image.convert("RGB"))[15, 2].astype(int) - (200, 20, 20)).max() < 12
    image.seek(5)
    assert image.info["duration"] == 1000


def test_a_montage_lasts_as_long_as_its_longest_video() -> None:
    videos = [
        Video(frames(4, (200, 20, 20)), "“Lower the peg into the green cup and leave it there.”"),
        Video(frames(7, (20, 20, 200)), "by this picture", frames(1, (0, 0, 0))[0]),
    ]
    image = Image.open(io.BytesIO(montage(videos, 10.0)))
    assert image.n_frames == 7
    assert image.size == (2 * 240 + 6, 180 + 42)


@pytest.mark.parametrize(("count", "wanted", "expected"), [(5, 3, [0, 2, 4]), (2, 8, [0, 1]), (1, 3, [0])])
def test_indices_are_spread(count: int, wanted: int, expected: list[int]) -> None:
    assert spread_indices(count, wanted) == expected


def test_a_strip_is_a_picture() -> None:
    picture = strip(frames(3, (0, 0, 0)))
    assert picture.shape == (30, 3 * 40 + 2 * 4, 3)
    for kind, mime in (("PNG", "image/png"), ("JPEG", "image/jpeg")):
        data = encode(picture, kind)
        assert Image.open(io.BytesIO(data)).size == (128, 30)
        assert data_uri(data, mime).startswith(f"data:{mime};base64,")
