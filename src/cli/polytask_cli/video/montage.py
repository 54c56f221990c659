"""Videos side by side in one GIF, each with its request above it and a frame when it is over: green, or red."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from polytask_cli.video.media import Picture, gif

SIZE = (240, 180)
VIDEO_RATE = 10.0  # pictures per s
HEADER, GAP, FRAME = 42, 6, 3
INK, DONE, FAILED = (31, 41, 51), (21, 128, 61), (185, 28, 28)
PER_ROW = 5


@dataclass(frozen=True)
class Video:
    """Pictures of one episode, and what was asked."""

    frames: Sequence[Picture]
    caption: str
    goal: Picture | None = None
    """The goal picture, where one was shown."""
    success: bool = True


def montage(videos: Sequence[Video], rate: float, colours: int = 160) -> bytes:
    """The videos in rows, all starting together; the GIF ends when the longest is over."""
    count = max(len(video.frames) for video in videos)
    return gif([_frame(videos, number) for number in range(count)], rate, colours=colours, hold=2.5)


def _frame(videos: Sequence[Video], number: int) -> Picture:
    width, height = SIZE
    columns, rows = min(len(videos), PER_ROW), -(-len(videos) // PER_ROW)
    canvas = Image.new("RGB", (columns * (width + GAP) - GAP, rows * (height + HEADER)), "white")
    draw = ImageDraw.Draw(canvas)
    for index, video in enumerate(videos):
        left, top = index % PER_ROW * (width + GAP), index // PER_ROW * (height + HEADER)
        shown = Image.fromarray(video.frames[min(number, len(video.frames) - 1)])
        canvas.paste(shown.resize(SIZE, Image.Resampling.LANCZOS), (left, top + HEADER))
        text_left = left
        if video.goal is not None:
            side = HEADER - FRAME
            canvas.paste(Image.fromarray(video.goal).resize((side, side), Image.Resampling.LANCZOS), (left, top))
            text_left += side + GAP
        _write(draw, video.caption, (text_left, top), left + width)
        if number >= len(video.frames) - 1:
            corners = (left, top + HEADER, left + width - 1, top + HEADER + height - 1)
            draw.rectangle(corners, outline=DONE if video.success else FAILED, width=FRAME)
    return np.asarray(canvas, dtype=np.uint8)


def _write(draw: ImageDraw.ImageDraw, text: str, corner: tuple[int, int], right: int) -> None:
    """Write on one line, or on two where it is too long for one."""
    font = ImageFont.load_default(size=15)
    words, (left, top) = text.split(), corner
    if draw.textlength(text, font=font) <= right - left:
        draw.text((left, top + 11), text, fill=INK, font=font)
        return
    half = (len(words) + 1) // 2
    lines = " ".join(words[:half]), " ".join(words[half:])
    draw.multiline_text((left, top + 2), "\n".join(lines), fill=INK, font=font, spacing=2)
