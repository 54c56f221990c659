"""Checkpoint folders: round trip, damage, and kills in the middle of a save."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from polytask_policy import checkpoint
from polytask_policy.checkpoint import CheckpointError, has_checkpoint, load_checkpoint, save_checkpoint


def test_round_trip_keeps_tensors_and_meta(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4), "b": torch.arange(5), "view": torch.randn(4, 4).T}
    save_checkpoint(tmp_path / "new" / "folder", tensors, {"kind": "expert", "steps": 7})
    assert has_checkpoint(tmp_path / "new" / "folder")
    loaded, meta = load_checkpoint(tmp_path / "new" / "folder", "expert")
    assert meta == {"kind": "expert", "steps": 7}
    assert set(loaded) == set(tensors)
    for name, tensor in tensors.items():
        assert torch.equal(loaded[name], tensor)
        assert loaded[name].dtype == tensor.dtype


def test_a_save_leaves_one_tensor_file_and_no_temporary_file(tmp_path: Path) -> None:
    for value in range(3):
        save_checkpoint(tmp_path, {"a": torch.full((2,), float(value))}, {"kind": "x"})
    assert len(list(tmp_path.iterdir())) == 2
    assert load_checkpoint(tmp_path)[0]["a"].tolist() == [2.0, 2.0]


class _Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


@pytest.mark.parametrize("survived", range(4))
def test_killed_at_any_point_of_a_save_the_old_or_the_new_checkpoint_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    save_checkpoint(tmp_path, {"a": torch.zeros(3)}, {"kind": "x", "steps": 1})
    calls = 0

    def dying(name: str, real):  # type: ignore[no-untyped-def]
        def call(*args, **kwargs):  # type: ignore[no-untyped-def]
            nonlocal calls
            if calls == survived:
                raise _Killed(name)
            calls += 1
            return real(*args, **kwargs)

        return call

    # A save flushes and renames twice: the four places where it can be cut off.
    monkeypatch.setattr(checkpoint.os, "replace", dying("replace", os.replace))
    monkeypatch.setattr(checkpoint.os, "fsync", dying("fsync", os.fsync))
    with pytest.raises(_Killed):
        save_checkpoint(tmp_path, {"a": torch.ones(3)}, {"kind": "x", "steps": 2})
    monkeypatch.undo()
    tensors, meta = load_checkpoint(tmp_path)
    assert (tensors["a"].tolist(), meta["steps"]) == ([0.0] * 3, 1)
    save_checkpoint(tmp_path, {"a": torch.ones(3)}, {"kind": "x", "steps": 2})
    assert load_checkpoint(tmp_path)[1]["steps"] == 2
    assert len(list(tmp_path.iterdir())) == 2


def test_killed_before_cleaning_up_the_new_checkpoint_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, {"a": torch.zeros(3)}, {"kind": "x"})

    def killed(*_: object) -> None:
        raise _Killed

    monkeypatch.setattr(Path, "glob", killed)
    with pytest.raises(_Killed):
        save_checkpoint(tmp_path, {"a": torch.ones(3)}, {"kind": "x"})
    monkeypatch.undo()
    assert load_checkpoint(tmp_path)[0]["a"].tolist() == [1.0] * 3


def test_an_empty_folder_a_wrong_kind_and_a_missing_tensor_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no checkpoint"):
        load_checkpoint(tmp_path)
    save_checkpoint(tmp_path, {"a": torch.zeros(1)}, {"kind": "expert"})
    with pytest.raises(CheckpointError, match="of kind 'expert', not 'unified'"):
        load_checkpoint(tmp_path, "unified")
    next(tmp_path.glob("*.safetensors")).unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(tmp_path)


def test_damage_is_noticed(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, {"a": torch.zeros(100)}, {"kind": "x"})
    file = next(tmp_path.glob("*.safetensors"))
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 99}', '{"format": 1, "meta": {}}'])
def test_a_broken_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "checkpoint.json").write_text(text)
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    """A checkpoint that names a pickled file is read as safetensors, which fails, and nothing in it runs."""
    import hashlib
    import pickle

    class Evil:
        def __reduce__(self):  # type: ignore[no-untyped-def]
            return (os.mkdir, (str(tmp_path / "ran"),))

    data = pickle.dumps(Evil())
    (tmp_path / "evil.pt").write_bytes(data)
    entry = {"file": "evil.pt", "sha256": hashlib.sha256(data).hexdigest()}
    (tmp_path / "checkpoint.json").write_text(json.dumps({"format": 1, "tensors": entry, "meta": {"kind": "x"}}))
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_checkpoint(tmp_path)
    assert not (tmp_path / "ran").exists()
