import json
from pathlib import Path

from toy_point import DESCRIPTION, PointEnv, demonstration, small

from polytask_trainer.ablation import VARIANTS, Subject, ablate
from polytask_trainer.rewards.matching import MatchingConfig


def test_every_variant_is_a_valid_setting() -> None:
    assert all(MatchingConfig(**dict(changes)) for changes in VARIANTS.values())


def test_rows_are_written_and_an_interrupted_ablation_carries_on(tmp_path: Path) -> None:
    subjects = {"home": Subject(PointEnv, [demonstration()], DESCRIPTION)}
    output = tmp_path / "results" / "ablation.json"
    arguments = (small(steps=60), subjects, [0], 2, output)
    rows = ablate(*arguments, variants=["default"])
    assert [row["variant"] for row in rows] == ["cloning", "default"]
    assert all(0.0 <= row["low"] <= row["success"] <= row["high"] <= 1.0 for row in rows)
    told: list[str] = []
    ablate(*arguments, variants=["default", "nearest frame"], on_result=lambda row: told.append(row["variant"]))
    assert told == ["nearest frame"]
    assert len(json.loads(output.read_text())["rows"]) == 3
