"""What the trainer removes in a folder that a user gave: its own files, never anything else."""

from __future__ import annotations

from pathlib import Path

import torch

from polytask_policy.checkpoint import save_checkpoint
from polytask_trainer.common.files import remove_own


def test_a_folder_of_ours_goes_as_a_whole(tmp_path: Path) -> None:
    training = tmp_path / "training"
    save_checkpoint(training, {"a": torch.zeros(1)}, {"kind": "x"})
    save_checkpoint(training / "cloning", {"a": torch.zeros(1)}, {"kind": "x"})
    (training / "relabelled").mkdir()
    names = ("average.npz", "best.npz", "relabelled/0123456789abcdef.npz", "3.u8", ".best.npz.77.tmp")
    for name in names:
        (training / name).touch()
    assert remove_own(training)
    assert not training.exists()
    assert remove_own(training)


def test_what_is_the_users_stays(tmp_path: Path) -> None:
    training = tmp_path / "training"
    save_checkpoint(training, {"a": torch.zeros(1)}, {"kind": "x"})
    (training / "photos").mkdir()
    (tmp_path / "outside").mkdir()
    kept = ("data.npz", "photos/checkpoint.json", "photos/1.u8", "notes.tmp")
    for name in (*kept, "../outside/1.u8"):
        (training / name).touch()
    (training / "memory").symlink_to(tmp_path / "outside")
    assert not remove_own(training)
    assert {path.name for path in training.iterdir()} == {"data.npz", "photos", "notes.tmp", "memory"}
    assert all((training / name).exists() for name in kept)
    assert (tmp_path / "outside" / "1.u8").exists()
    (tmp_path / "linked").symlink_to(tmp_path / "outside")
    assert not remove_own(tmp_path / "linked")
    assert (tmp_path / "outside" / "1.u8").exists()
