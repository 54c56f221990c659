"""Picture files as people have them: read as a person sees them, or refused in a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from typer.testing import CliRunner

from polytask_cli.cli import app
from polytask_cli.goal_picture import PictureError, read_picture

RED, WHITE, BLUE = (255, 0, 0), (255, 255, 255), (0, 0, 255)


def pixels(path: Path) -> list[list[tuple[int, ...]]]:
    """Rows of colours."""
    picture = read_picture(path)
    assert picture.dtype == np.uint8
    return [[tuple(int(value) for value in pixel) for pixel in row] for row in picture]


def test_a_plain_picture_is_sent_as_it_is(tmp_path: Path) -> None:
    picture = Image.new("RGB", (2, 1), RED)
    picture.putpixel((1, 0), BLUE)
    picture.save(tmp_path / "a.png")
    assert pixels(tmp_path / "a.png") == [[RED, BLUE]]


def test_a_photograph_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    picture = Image.new("RGB", (2, 1), RED)
    picture.putpixel((1, 0), BLUE)
    for orientation, seen in ((6, [[RED], [BLUE]]), (8, [[BLUE], [RED]]), (3, [[BLUE, RED]]), (99, [[RED, BLUE]])):
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture.save(tmp_path / "a.png", exif=exif)
        assert pixels(tmp_path / "a.png") == seen
    picture.save(tmp_path / "a.png", exif=b"Exif\0\0MM\0*garbage")
    assert pixels(tmp_path / "a.png") == [[RED, BLUE]]


def test_what_is_transparent_is_seen_over_white(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (3, 1), (*RED, 0))
    picture.putpixel((1, 0), (*RED, 255))
    picture.putpixel((2, 0), (0, 0, 0, 51))
    picture.save(tmp_path / "a.png")
    assert pixels(tmp_path / "a.png") == [[WHITE, RED, (204, 204, 204)]]
    grey = Image.new("LA", (1, 1), (0, 0))
    grey.save(tmp_path / "grey.png")
    assert pixels(tmp_path / "grey.png") == [[WHITE]]
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([*RED, *BLUE])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "palette.png", transparency=0)
    assert pixels(tmp_path / "palette.png") == [[WHITE, BLUE]]
    palette.save(tmp_path / "plain.png")
    assert pixels(tmp_path / "plain.png") == [[RED, BLUE]]


def test_sixteen_bits_are_brought_to_eight(tmp_path: Path) -> None:
    values = np.array([[0, 0x80FF, 0xFFFF]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert pixels(tmp_path / "a.png") == [[(0,) * 3, (128,) * 3, (255,) * 3]]
    Image.fromarray(values).save(tmp_path / "a.tiff")
    assert pixels(tmp_path / "a.tiff") == [[(0,) * 3, (128,) * 3, (255,) * 3]]


def test_other_modes_and_the_first_frame(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    red, green, blue = pixels(tmp_path / "a.jpg")[4][4]
    assert red > 240
    assert max(green, blue) < 15
    Image.new("1", (1, 1), 1).save(tmp_path / "bit.png")
    assert pixels(tmp_path / "bit.png") == [[WHITE]]
    frames = [Image.new("RGB", (1, 1), colour) for colour in (RED, BLUE)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert pixels(tmp_path / "a.gif") == [[RED]]


def test_a_long_note_in_a_png_is_skipped(tmp_path: Path) -> None:
    note = PngImagePlugin.PngInfo()
    note.add_text("note", "x" * 3_000_000, zip=True)
    Image.new("RGB", (84, 84), RED).save(tmp_path / "a.png", pnginfo=note)
    assert read_picture(tmp_path / "a.png").shape == (84, 84, 3)


def test_a_large_picture_is_made_smaller_and_keeps_its_form(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        Image.new("RGB", (4000, 3000), RED).save(tmp_path / name)
        picture = read_picture(tmp_path / name)
        assert picture.shape == (768, 1024, 3)
        assert abs(picture.astype(int) - RED).max() < 5


def refusals(folder: Path) -> dict[Path, str]:
    """Files that are no pictures to be sent, and what is said of them."""
    (folder / "text.png").write_text("not a picture")
    (folder / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (folder / "empty.png").touch()
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    Image.new("RGB", (400, 400), RED).save(folder / "whole.jpg")
    (folder / "cut.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:700])
    Image.new("L", (14200, 14200)).save(folder / "large.png", compress_level=1)
    Image.fromarray(np.full((1, 2), 1e9, dtype=np.float32)).save(folder / "depth.tiff")
    os.truncate(folder / "depth.tiff", (folder / "depth.tiff").stat().st_size)
    return {
        folder / "text.png": "cannot be read as a picture",
        folder / "photo.heic": "save it as PNG or JPEG",
        folder / "empty.png": "the file is empty",
        folder / "folder": "cannot be read as a picture",
        folder / "pipe": "not a regular file",
        Path("/dev/zero"): "not a regular file",
        folder / "cut.jpg": "truncated",
        folder / "large.png": "more than 100 megapixels",
        folder / "depth.tiff": "are not those of a picture",
        folder / "nowhere.png": "there is no picture",
        folder / ("x" * 300): "cannot be read as a picture",
    }


def test_what_cannot_be_shown_is_refused_in_a_sentence(tmp_path: Path) -> None:
    for path, reason in refusals(tmp_path).items():
        with pytest.raises(PictureError, match=reason) as refused:
            read_picture(path)
        assert "\n" not in str(refused.value)


def test_the_command_says_so_and_fails(tmp_path: Path) -> None:
    (tmp_path / "goal.png").write_text("not a picture")
    result = CliRunner().invoke(app, ["ask", "--image", str(tmp_path / "goal.png")])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "cannot be read as a picture" in result.stderr
