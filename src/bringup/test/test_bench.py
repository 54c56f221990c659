"""The bench command: its lines, and the file that it writes. What it measures is tested where that is."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from polytask_bringup import benchmarks
from polytask_bringup.cli import app
from polytask_bringup.commands.bench import Part


@pytest.fixture
def _quick(monkeypatch):
    ratio = benchmarks.Ratio("this", "that", 2.5, "5/s and 2/s")
    for part in Part:
        monkeypatch.setattr(benchmarks, part.value, lambda part=part: ([ratio], {"of": part.value}))


@pytest.mark.usefixtures("_quick")
def test_prints_ratios_and_writes_them(tmp_path):
    done = CliRunner().invoke(app, ["bench", "--output", str(tmp_path / "bench.json")])
    assert done.exit_code == 0, done.output
    assert done.output.count("2.50") == 8
    written = json.loads((tmp_path / "bench.json").read_text())
    assert [ratio["value"] for ratio in written["ratios"]] == [2.5] * 8
    assert written["measured"]["policy"] == {"of": "policy"}
    assert written["machine"]["cores"] >= 1
    assert written["versions"]["torch"]


@pytest.mark.usefixtures("_quick")
def test_measures_the_parts_that_are_named_and_says_what_a_machine_cannot(tmp_path, monkeypatch):
    def lacking():
        raise benchmarks.NotMeasured("the disk is full")

    monkeypatch.setattr(benchmarks, "frames", lacking)
    done = CliRunner().invoke(app, ["bench", "policy", "frames", "--output", str(tmp_path / "bench.json")])
    assert done.exit_code == 0, done.output
    assert "frames: not measured, the disk is full" in done.output
    assert json.loads((tmp_path / "bench.json").read_text())["measured"] == {"policy": {"of": "policy"}}


@pytest.mark.usefixtures("_quick")
def test_a_missing_folder_is_said_before_anything_is_measured(tmp_path):
    done = CliRunner().invoke(app, ["bench", "--output", str(tmp_path / "no" / "bench.json")])
    assert done.exit_code == 1
    assert "there is no folder" in done.output


def test_the_served_policy_computes_what_torch_does_only_quicker():
    [ratio], seconds = benchmarks.policy(rounds=3, calls=20)
    assert ratio.value == seconds["torch"] / seconds["served"] > 1
