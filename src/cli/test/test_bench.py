"""The bench command: its lines, and the file that it writes. What it measures is tested where that is."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from polytask_cli import benchmarks
from polytask_cli.cli import app
from polytask_cli.commands.bench import Part


@pytest.fixture
def _quick(monkeypatch):
    ratio = benchmarks.Ratio("this", "that", 2.5, "5/s and 2/s")
    for part in Part:
        monkeypatch.setattr(benchmarks, part.value, lambda part=part: ([ratio], {"of": part.value}))
    monkeypatch.setattr(benchmarks, "share", lambda: 0.97)


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


def test_what_needs_several_cores_is_not_measured_on_a_busy_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmarks, "share", lambda: 0.4)
    done = CliRunner().invoke(app, ["bench", "control", "parallel", "--output", str(tmp_path / "bench.json")])
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "The machine is busy: its cores give 40% of their time" in said
    for part in ("control", "parallel"):
        assert f"{part}: not measured, other programs use the machine: its cores give 40% of their time" in said
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["measured"] == {}
    assert written["machine"]["share"] == 0.4


def test_the_share_is_what_processes_get(monkeypatch):
    """Four times as many as there are cores get a quarter each, or little more, however quiet the machine is."""
    count = benchmarks.cores()
    monkeypatch.setattr(benchmarks, "cores", lambda: 4 * count)
    assert 0.0 < benchmarks.share() < 0.6


def test_the_served_policy_computes_what_torch_does_only_quicker():
    [ratio], seconds = benchmarks.policy(rounds=3, calls=20)
    assert ratio.value == seconds["torch"] / seconds["served"] > 1
