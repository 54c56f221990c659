"""Checkpoint folders: round trip, damage, and kills in the middle of a save."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
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

    monkeypatch.setattr(Path, "iterdir", killed)
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


def forge(folder: Path, document: dict[str, object]) -> None:
    """Write a checkpoint.json under a right checksum, as the format says: over its text with the checksum empty."""
    text = json.dumps({"format": 2, "sha256": "", **document}, indent=1)
    digest = hashlib.sha256(text.encode()).hexdigest()
    (folder / "checkpoint.json").write_text(text.replace('"sha256": ""', f'"sha256": "{digest}"', 1))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("\xff", "cannot be read"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "has format None"),
        ("{}", "has format None"),
        ('{"format": 99}', "has format 99, this version reads format 2"),
        ('{"format": 1, "tensors": {}, "meta": {}}', "make it anew"),
        ('{"format": 2, "tensors": {}, "meta": {}}', "damaged"),
        ('{"format": 2, "sha256": 5}', "damaged"),
    ],
)
def test_a_broken_json_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "checkpoint.json").write_bytes(text.encode("latin1"))
    with pytest.raises(CheckpointError, match=reason):
        load_checkpoint(tmp_path)


def test_every_flipped_bit_of_the_json_is_noticed(tmp_path: Path) -> None:
    """Also those that leave a good number, a good name, or the same number written otherwise (1e-05, 1E-05)."""
    meta = {"kind": "x", "scale": 0.02, "small": 1e-05, "topic": "ö"}
    save_checkpoint(tmp_path, {"a": torch.zeros(1)}, meta)
    assert load_checkpoint(tmp_path)[1] == meta
    file = tmp_path / "checkpoint.json"
    data = file.read_bytes()
    for place in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        file.write_bytes(flipped)
        with pytest.raises(CheckpointError):
            load_checkpoint(tmp_path)


def test_floats_come_back_as_they_were(tmp_path: Path) -> None:
    values = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, 2.0**53 + 2]
    for value in values:
        save_checkpoint(tmp_path, {}, {"kind": "x", "value": value})
        assert load_checkpoint(tmp_path)[1]["value"].hex() == value.hex()


@pytest.fixture
def named(tmp_path: Path) -> Callable[[str], Path]:
    """``named(name)``: a folder whose checkpoint names that file, under a right checksum."""
    save_checkpoint(tmp_path / "own", {"a": torch.zeros(1)}, {"kind": "x"})
    document = json.loads((tmp_path / "own" / "checkpoint.json").read_text())
    file = next((tmp_path / "own").glob("tensors-*"))
    file.rename(tmp_path / file.name)

    def forged(name: str) -> Path:
        tensors = {**document["tensors"], "file": name.format(folder=tmp_path, file=file.name)}
        forge(tmp_path / "own", {"tensors": tensors, "meta": {"kind": "x"}})
        return tmp_path / "own"

    return forged


@pytest.mark.parametrize(
    "name", ["../{file}", "{folder}/{file}", "", ".", "..", "/dev/zero", "x\0y", "checkpoint.json"]
)
def test_a_name_that_leads_out_of_the_folder_is_not_followed(named: Callable[[str], Path], name: str) -> None:
    with pytest.raises(CheckpointError, match="no name of a tensor file"):
        load_checkpoint(named(name))


@pytest.mark.parametrize("name", ["tensors", "checkpoint.json"])
@pytest.mark.parametrize("kind", ["outside", "zero", "random", "pipe", "folder"])
def test_what_is_no_regular_file_is_neither_read_nor_waited_for(
    named: Callable[[str], Path], name: str, kind: str
) -> None:
    folder = named("{file}")
    target = folder / name
    if name == "tensors":
        target = folder / next(folder.parent.glob("tensors-*")).name
    else:
        target.rename(folder.parent / name)
    if kind == "pipe":
        os.mkfifo(target)
    elif kind == "folder":
        target.mkdir()
    else:
        target.symlink_to(folder.parent / target.name if kind == "outside" else f"/dev/{kind}")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(folder)


def test_a_file_of_another_size_is_refused_before_it_is_read(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, {"a": torch.zeros(1)}, {"kind": "x"})
    os.truncate(next(tmp_path.glob("tensors-*")), 1 << 40)  # with nothing in it; to read it takes an hour
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(tmp_path)


def test_a_save_removes_its_own_files_only(tmp_path: Path) -> None:
    others = ("tensors-mine.safetensors", ".notes.tmp", "tensors-0123456789abcdef.safetensors.bak")
    own = (".checkpoint.json.12.tmp", ".tensors-0123456789abcdef.safetensors.3.tmp")
    for name in (*others, *own):
        (tmp_path / name).touch()
    save_checkpoint(tmp_path, {"a": torch.zeros(1)}, {"kind": "x"})
    save_checkpoint(tmp_path, {"a": torch.ones(1)}, {"kind": "x"})
    kept = {path.name for path in tmp_path.iterdir()}
    assert set(others) < kept
    assert len(kept) == len(others) + 2


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    """A checkpoint that names a pickled file is read as safetensors, which fails, and nothing in it runs."""
    import pickle

    class Evil:
        def __reduce__(self):  # type: ignore[no-untyped-def]
            return (os.mkdir, (str(tmp_path / "ran"),))

    data = pickle.dumps(Evil())
    digest = hashlib.sha256(data).hexdigest()
    name = f"tensors-{digest[:16]}.safetensors"
    (tmp_path / name).write_bytes(data)
    forge(tmp_path, {"tensors": {"file": name, "bytes": len(data), "sha256": digest}, "meta": {"kind": "x"}})
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_checkpoint(tmp_path)
    assert not (tmp_path / "ran").exists()
