"""Reports from the JSON of runs alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polytask_trainer.config import ConfigError
from polytask_trainer.experiments.report import read_documents, write_report
from polytask_trainer.experiments.scores import Scores, estimate

TASKS = ("reach", "drawer-close")


def write(folder: Path, title: str, work: str, config: dict[str, Any], result: dict[str, Any], seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    document = {"title": title, "work": f"m:{work}", "config": {"suite": "tabletop", **config}, "seed": seed}
    document |= {"needs": [], "versions": {"python": "3"}, "result": result}
    (folder / f"{title.replace(' ', '-')}-{seed}.json").write_text(json.dumps(document))


def rate(success: float) -> dict[str, Any]:
    return {"success": success, "episodes": 25, "refused": 1}


def test_the_interval_covers_the_mean_and_draws_seeds_for_each_task():
    rng = np.random.default_rng(0)
    scores = rng.normal([0.2, 0.8], 0.05, (5, 2))
    found = estimate(scores, lambda s: float(s.mean()))
    assert found is not None
    assert found.value == pytest.approx(scores.mean())
    assert found.low < found.value < found.high
    # Tasks are strata: how far they lie apart does not widen the interval.
    assert found.high - found.low < 0.15
    assert estimate(scores, lambda s: float(s.mean())) == found  # the same report from the same JSON
    assert estimate(scores[:1], lambda s: float(s.mean())).low is None
    assert estimate(scores[:0], lambda s: float(s.mean())) is None


def test_scores_of_incomplete_seeds_are_left_out_of_means():
    scores = Scores()
    for task in TASKS:
        scores.add("a", task, 0, 1.0)
    scores.add("a", "reach", 1, 0.0)
    assert scores.mean("a").value == 1.0
    assert scores.mean("a").seeds == 1
    assert scores.of("a", "reach") == [1.0, 0.0]
    assert scores.ratio("a", "b") is None


def multitask(folder: Path, unified: float, seeds: int = 2) -> None:
    learn = {"steps": 100}
    for seed in range(seeds):
        for task in TASKS:
            own = {"task": task, "episodes": 25, "learn": learn, "demonstrations": 1}
            write(folder, f"expert tabletop {task}", "expert", own, {"evaluation": rate(0.9)}, seed)
            clones = {"evaluations": {"1": rate(0.5), "5": rate(0.8)}}
            write(folder, f"clones tabletop {task}", "clones", {**own, "demonstrations": [1, 5]}, clones, seed)
        kinds = {"task": unified, "none": 0.0, "other": 0.1, "words": unified, "expert_image": unified - 0.04 * seed}
        asked = {"evaluations": {kind: {task: rate(value) for task in TASKS} for kind, value in kinds.items()}}
        write(folder, "asked tabletop", "asked", {"tasks": list(TASKS)}, asked, seed)


@pytest.mark.parametrize(("unified", "word"), [(0.85, "reached"), (0.8, "missed")])
def test_multitask_says_whether_the_ratio_was_reached(tmp_path, unified, word):
    multitask(tmp_path, unified)
    page = write_report("multitask", "cpu", tmp_path)
    assert (
        f"**{unified / 0.9:.3f} [{unified / 0.9:.3f}, {unified / 0.9:.3f}]**, must be ≥ 0.93: {word} (2 seeds)" in page
    )
    assert "| reach | 0.50 | 0.80 | 0.90 |" in page
    assert "./polytask experiment multitask --budget cpu" in page
    assert (tmp_path / "report.md").read_text() == page
    rows = (tmp_path / "report.csv").read_text().splitlines()
    assert rows[0] == "suite,what,task,seed,success"
    assert f"tabletop,task,reach,0,{unified}" in rows
    assert (tmp_path / "tabletop.png").read_bytes()[:4] == b"\x89PNG"
    assert write_report("multitask", "cpu", tmp_path) == page


def test_goal_kinds_lie_apart_by_their_means(tmp_path):
    multitask(tmp_path, 0.9)
    page = write_report("goal_kinds", "cpu", tmp_path)
    assert "name, words and picture lie apart: **0.020" in page
    assert "must be ≤ 0.05: reached" in page
    assert "| picture | 4 | 100 |" in page
    multitask(tmp_path, 0.9, seeds=4)
    assert "must be ≤ 0.05: missed" in write_report("goal_kinds", "cpu", tmp_path)


def test_pixels_has_one_table_of_clones_experts_and_every_goal(tmp_path):
    multitask(tmp_path, 0.6)
    for path in tmp_path.glob("expert*.json"):
        document = json.loads(path.read_text())
        document["config"]["learn"]["pictures"] = {"stack": 1, "size": 48, "state": ["x", "y"]}
        path.write_text(json.dumps(document))
    page = write_report("pixels", "cpu", tmp_path)
    assert "Seen: 1 frame of 48 pixels beside 2 values" in page
    assert "| task | BC-1 | expert | name | words | picture | no goal | another task's goal |" in page
    assert "| reach | 0.50 | 0.90 | 0.60 | 0.60 | 0.58 | 0.00 | 0.10 |" in page
    assert "unified policy over its experts: **0.667 [0.667, 0.667]**, must be ≥ 0.93: missed (2 seeds)" in page
    assert "| name | 4 | 100 |" in page


def stages(end: float) -> dict[str, Any]:
    last = {"task": "drawer-close", "success": {"reach": end, "drawer-close": 0.8}}
    return {"stages": [{"task": "reach", "success": {"reach": 1.0}}, last]}


def test_lifelong_compares_the_end_with_each_task_s_own_success(tmp_path):
    for variant, end in (("offline", 0.9), ("fine-tuning", 0.1)):
        write(tmp_path, variant, "learned", {"variant": variant, "share": 1.0, "tasks": TASKS}, stages(end), 0)
    page = write_report("lifelong", "cpu", tmp_path)
    assert "**0.944**, must be ≥ 0.9: reached (one seed, so no interval)" in page
    assert "**0.500**, must be ≥ 0.9: missed" in page
    assert "weakest task: 0.900" in page
    assert "| 2: drawer-close | 0.10 | 0.80 |" in page


def test_reservoir_compares_ten_percent_with_all(tmp_path):
    for share, end in ((1.0, 1.0), (0.1, 0.6), (0.01, 0.0)):
        config = {"variant": "offline", "share": share, "tasks": TASKS}
        write(tmp_path, f"share {share}", "learned", config, stages(end), 0)
    page = write_report("reservoir", "cpu", tmp_path)
    assert "| reach | 1.00 | 0.60 | 0.00 |" in page
    assert "success with 10 % of that with all: **0.778**, must be ≥ 0.9: missed" in page


def test_rewards_shows_the_gap_to_the_environment_s_reward(tmp_path):
    for variant, success in (("expert", 0.9), ("paper-matching", 0.4), ("environment", 0.95)):
        for task in TASKS:
            config = {"task": task, "episodes": 25, "learn": {"steps": 100}, "demonstrations": 1}
            write(tmp_path, f"{variant} tabletop {task}", "expert", config, {"evaluation": rate(success)}, 0)
    page = write_report("rewards", "cpu", tmp_path)
    assert "environment's reward less OT as in the paper: +0.550" in page
    assert "environment's reward less OT, the demo's: +0.050" in page


def test_nothing_finished_is_said(tmp_path):
    with pytest.raises(ConfigError, match="no run has finished yet"):
        read_documents(tmp_path)
