"""Pictures to messages and back."""

import array

import numpy as np
import pytest

from polytask_robot_io.errors import BadMessage
from polytask_robot_io.images import check_image, to_array, to_message

PIXELS = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)


def test_there_and_back():
    message = to_message(PIXELS, frame="optical")
    assert (message.width, message.height, message.step, message.encoding) == (8, 6, 24, "rgb8")
    assert np.array_equal(to_array(message), PIXELS)


def test_bgr_becomes_rgb():
    message = to_message(np.ascontiguousarray(PIXELS[..., ::-1]))
    message.encoding = "bgr8"
    assert np.array_equal(to_array(message), PIXELS)


def test_padded_rows():
    message = to_message(PIXELS)
    padded = np.zeros((6, 32), dtype=np.uint8)
    padded[:, :24] = PIXELS.reshape(6, 24)
    message.step = 32
    message.data = array.array("B", padded.tobytes())
    assert np.array_equal(to_array(message), PIXELS)


def test_the_array_is_the_callers_own():
    message = to_message(PIXELS)
    picture = to_array(message)
    picture[:] = 0
    assert np.array_equal(to_array(message), PIXELS)


@pytest.mark.parametrize("picture", [PIXELS.astype(np.float32), PIXELS[..., 0], PIXELS[..., :2]])
def test_only_rgb_bytes_can_be_sent(picture):
    with pytest.raises(ValueError, match="uint8"):
        to_message(picture)


def test_size_is_checked_where_it_is_known():
    message = to_message(PIXELS)
    check_image(message, 8, 6)
    with pytest.raises(BadMessage, match="8x6, but 84x84 is declared"):
        check_image(message, 84, 84)


def test_too_much_data_is_refused():
    message = to_message(PIXELS)
    message.data.append(0)
    with pytest.raises(BadMessage, match="145 bytes"):
        check_image(message)
