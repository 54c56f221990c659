"""HDF5 files of others: what is read, and what is refused with file and reason."""

import h5py
import numpy as np
import pytest

from polytask_demo_recorder.dataset.foreign import read_hdf5, write_hdf5
from polytask_demo_recorder.errors import DatasetError


def episode(steps, start=0.0):
    states = np.arange((steps + 1) * 3, dtype=np.float32).reshape(-1, 3) + start
    return states, np.linspace(-1, 1, steps * 2, dtype=np.float32).reshape(-1, 2), np.ones(steps, np.float32)


def flat(path, ends, **changed):
    """A D4RL file of ten steps whose episodes end after the steps ``ends``."""
    content = {
        "observations": np.arange(30, dtype=np.float64).reshape(10, 3),
        "actions": np.zeros((10, 2)),
        "terminals": np.isin(np.arange(10), ends),
    }
    with h5py.File(path, "w") as file:
        for name, value in (content | changed).items():
            if value is not None:
                file[name] = value
    return path


def test_minaris_form_comes_back_in_the_order_of_numbers(tmp_path):
    shown = [episode(2 + number, start=100 * number) for number in range(11)]
    write_hdf5(tmp_path / "mine.hdf5", shown)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.hdf5"]
    found = read_hdf5(tmp_path / "mine.hdf5")
    assert len(found) == 11, "episode_10 comes after episode_9"
    for (states, actions, _), one in zip(shown, found, strict=True):
        assert np.array_equal(one.observations, states)
        assert np.array_equal(one.actions, actions)


def test_observations_with_goals(tmp_path):
    states, actions, _ = episode(4)
    with h5py.File(tmp_path / "goals.hdf5", "w") as file:
        file["episode_0/observations/observation"] = states
        file["episode_0/observations/desired_goal/kettle"] = np.zeros((5, 7))
        file["episode_0/actions"] = actions.astype(np.float64)
    [one] = read_hdf5(tmp_path / "goals.hdf5")
    assert np.array_equal(one.observations, states)
    assert one.actions.dtype == np.float32


def test_d4rls_form_is_cut_where_episodes_end(tmp_path):
    path = flat(tmp_path / "flat.hdf5", ends=[3], timeouts=np.isin(np.arange(10), [7]))
    found = read_hdf5(path)
    assert [len(one.actions) for one in found] == [3, 3, 1]
    assert [one.observations[0, 0] for one in found] == [0, 12, 24]
    assert all(len(one.observations) == len(one.actions) + 1 for one in found)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"actions": None}, "no 'actions'"),
        ({"actions": np.full((10, 2), 1.5)}, "action of 1.5"),
        ({"actions": np.zeros((9, 2))}, "9 actions"),
        ({"actions": np.zeros(10)}, r"\(10,\)"),
        ({"observations": np.full((10, 3), np.nan)}, "not finite"),
        ({"observations": np.array([[b"gA=="] * 3] * 10, dtype=object)}, "no numbers"),
        ({"observations": h5py.ExternalLink("other.hdf5", "/observations")}, "link"),
        ({"terminals": np.zeros((10, 1))}, "1 dimensions"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, changed, reason):
    path = flat(tmp_path / "flat.hdf5", ends=[9], **changed)
    with pytest.raises(DatasetError, match=reason) as error:
        read_hdf5(path)
    assert "flat.hdf5" in str(error.value)


def test_a_huge_array_is_refused_before_it_is_read(tmp_path):
    with h5py.File(tmp_path / "huge.hdf5", "w") as file:
        file.create_dataset("observations", (2**30, 60), dtype="f4", chunks=(1024, 60))
        file["actions"] = np.zeros((10, 2))
        file["terminals"] = np.zeros(10)
    with pytest.raises(DatasetError, match="GiB"):
        read_hdf5(tmp_path / "huge.hdf5")


def test_minaris_lengths_and_other_files(tmp_path):
    with h5py.File(tmp_path / "short.hdf5", "w") as file:
        file["episode_0/observations"] = np.zeros((4, 3))
        file["episode_0/actions"] = np.zeros((4, 2))
    with pytest.raises(DatasetError, match=r"episode_0.*one more"):
        read_hdf5(tmp_path / "short.hdf5")
    (tmp_path / "kitchen.hdf5").write_bytes(b"\x80\x04pickle")
    with pytest.raises(DatasetError, match=r"kitchen\.hdf5.*HDF5"):
        read_hdf5(tmp_path / "kitchen.hdf5")
    with pytest.raises(DatasetError, match=r"missing\.hdf5"):
        read_hdf5(tmp_path / "missing.hdf5")
