"""MuJoCo's logs: what is read, and what is refused with file and reason."""

import struct

import numpy as np
import pytest

from polytask_demo_recorder.dataset.mujoco_log import read_mjl
from polytask_demo_recorder.errors import DatasetError

COUNTS = (3, 2, 2, 1, 4, 2)
"""nq, nv, nu, nmocap, nsensordata, nuserdata."""
WIDTH = 1 + 3 + 2 + 2 + 7 + 4 + 2
NAME = b"kitchen\0"


def written(path, records, counts=COUNTS, name=NAME):
    path.write_bytes(struct.pack("<7i", *counts, len(name)) + name + records.astype("<f4").tobytes())
    return path


def records(count):
    """Record t holds t at its first place, its time, and 100 t + place elsewhere."""
    found = 100.0 * np.arange(count)[:, None] + np.arange(WIDTH)
    found[:, 0] = np.arange(count)
    return found


def test_a_log_is_read(tmp_path):
    log = read_mjl(written(tmp_path / "play.mjl", records(4)))
    assert log.time.tolist() == [0, 1, 2, 3]
    assert log.qpos[2].tolist() == [201, 202, 203]
    assert log.qvel[2].tolist() == [204, 205]
    assert log.ctrl[2].tolist() == [206, 207]
    assert len(log.qpos) == len(log.qvel) == len(log.ctrl) == 4


def test_what_is_no_whole_log_is_refused(tmp_path):
    whole = written(tmp_path / "play.mjl", records(4)).read_bytes()
    for size in (0, 27, 28, 30, len(whole) - 4, len(whole) - 1):
        (tmp_path / "part.mjl").write_bytes(whole[:size])
        with pytest.raises(DatasetError, match=r"part\.mjl"):
            read_mjl(tmp_path / "part.mjl")
    for content in (b"\x80\x04\x95 a pickle, which nobody opens", b"PK\x03\x04" * 20):
        (tmp_path / "other.mjl").write_bytes(content)
        with pytest.raises(DatasetError, match=r"other\.mjl: is no MuJoCo log"):
            read_mjl(tmp_path / "other.mjl")
    with pytest.raises(DatasetError, match=r"missing\.mjl: cannot be read"):
        read_mjl(tmp_path / "missing.mjl")


@pytest.mark.parametrize(("place", "value", "reason"), [(5, np.nan, "not finite"), (0, 1.0, "do not increase")])
def test_values_that_cannot_be_are_refused(tmp_path, place, value, reason):
    wrong = records(4)
    wrong[2, place] = value
    with pytest.raises(DatasetError, match=rf"play\.mjl.*{reason}"):
        read_mjl(written(tmp_path / "play.mjl", wrong))


def test_a_huge_log_is_refused_before_it_is_read(tmp_path):
    path = written(tmp_path / "huge.mjl", records(1))
    with path.open("r+b") as file:
        file.truncate(28 + len(NAME) + 4 * WIDTH * 2**26)  # a hole: nothing is written
    with pytest.raises(DatasetError, match="more than 4 GiB"):
        read_mjl(path)
