"""Reports from the published runs alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polytask_trainer.common.settings import ConfigError
from polytask_trainer.experiments.framework.curves import spans
from polytask_trainer.experiments.framework.plan import plan
from polytask_trainer.experiments.framework.report import select, write_page, write_report
from polytask_trainer.experiments.framework.results import publish, read_documents
from polytask_trainer.experiments.framework.scores import Estimate, Scores, estimate
from polytask_trainer.experiments.others import auxdistill, ol_aux, ot_regularised
from polytask_trainer.experiments.others.auxdistill_stages import curve

TASKS = ("reach", "drawer-close")


def write(folder: Path, title: str, function: str, config: dict[str, Any], result: dict[str, Any], seed: int) -> None:
    document = {"title": title, "target": f"m:{function}", "config": {"suite": "tabletop", **config}, "seed": seed}
    publish([{**document, "needs": [], "versions": {"python": "3"}, "result": result}], folder)


def page_of(name: str, folder: Path) -> str:
    return write_page(name, "cpu", folder, read_documents(folder))


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


def test_what_belongs_to_a_seed_and_task_is_drawn_together():
    scores = Scores()
    for task in TASKS:
        for seed, value in enumerate((0.2, 0.5, 0.9)):
            scores.add("expert", task, seed, value)
            scores.add("unified", task, seed, 0.8 * value)
    ratio = scores.ratio("unified", "expert")
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((0.8, 0.8, 0.8))
    mean = scores.mean("expert")
    assert mean.high - mean.low > 0.2
    assert scores.gap(["unified", "expert"]).high == pytest.approx(0.2 * mean.high, rel=0.05)


def test_kinds_are_paired_by_their_seed_where_some_are_missing():
    scores = Scores()
    for seed in (0, 1, 2):
        scores.add("oracle", "main", seed, 0.4 + 0.2 * seed)
    for seed in (2, 1):
        scores.add("none", "main", seed, 0.2 + 0.1 * seed)  # half of the oracle's
    assert scores.within("main").ratio("none", "oracle") == Estimate(0.5, 0.5, 0.5, 2)


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
    page = page_of("multitask", tmp_path)
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
    assert page_of("multitask", tmp_path) == page


def test_goal_kinds_lie_apart_by_their_means(tmp_path):
    multitask(tmp_path, 0.9)
    page = page_of("goal_kinds", tmp_path)
    assert "name, words and picture lie apart: **0.020" in page
    assert "must be ≤ 0.05: reached" in page
    assert "| picture | 4 | 100 |" in page
    multitask(tmp_path, 0.9, seeds=4)
    assert "must be ≤ 0.05: missed" in page_of("goal_kinds", tmp_path)


def test_pixels_has_one_table_of_clones_experts_and_every_goal(tmp_path):
    multitask(tmp_path, 0.6)
    experts = select(read_documents(tmp_path), "expert")
    for expert in experts:
        expert["config"]["learn"]["pictures"] = {"stack": 1, "size": 48, "state": ["x", "y"]}
    publish(experts, tmp_path)
    page = page_of("pixels", tmp_path)
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
    page = page_of("lifelong", tmp_path)
    assert "**0.944**, must be ≥ 0.9: reached (one seed, so no interval)" in page
    assert "**0.500**, must be ≥ 0.9: missed" in page
    assert "weakest task: 0.900" in page
    assert "| 2: drawer-close | 0.10 | 0.80 |" in page


def test_reservoir_compares_ten_percent_with_all(tmp_path):
    for share, end in ((1.0, 1.0), (0.1, 0.6), (0.01, 0.0)):
        config = {"variant": "offline", "share": share, "tasks": TASKS}
        write(tmp_path, f"share {share}", "learned", config, stages(end), 0)
    page = page_of("reservoir", tmp_path)
    assert "| reach | 1.00 | 0.60 | 0.00 |" in page
    assert "success with 10 % of that with all: **0.778**, must be ≥ 0.9: missed" in page


def test_rewards_shows_the_gap_to_the_environment_s_reward(tmp_path):
    for variant, success in (("expert", 0.9), ("paper-matching", 0.4), ("environment", 0.95)):
        for task in TASKS:
            config = {"task": task, "episodes": 25, "learn": {"steps": 100}, "demonstrations": 1}
            write(tmp_path, f"{variant} tabletop {task}", "expert", config, {"evaluation": rate(success)}, 0)
    page = page_of("rewards", tmp_path)
    assert "environment's reward less the paper's OT, raw states: +0.550" in page
    assert "environment's reward less OT, the demo's: +0.050" in page


def test_runs_of_another_configuration_are_named_and_left_out(tmp_path):
    arms = plan("ol_aux", "smoke")[1:]
    for run, success in zip(arms, (0.1, 0.2, 0.9), strict=True):
        result = {"curve": [{"step": 60, "success": success}]}
        publish([{**run.to_json(), "versions": {}, "result": result}], tmp_path)
    assert "left out" not in write_report("ol_aux", "smoke", tmp_path)
    [document] = select(read_documents(tmp_path), "reach", method="none")
    # An entry that is not at its default makes another name, one that is at a default of then another value.
    publish([{**document, "name": "arm-none-0-123456789abc"}], tmp_path)
    page = write_report("ol_aux", "smoke", tmp_path)
    assert "2 runs, seeds 0" in page
    assert "Of another configuration, left out: arm none 0." in page
    assert "no auxiliary losses" not in page
    document["config"]["agent"]["n_step"] = 3
    publish([document], tmp_path)
    assert write_report("ol_aux", "smoke", tmp_path) == page
    publish([{**one, "name": "of before"} for one in read_documents(tmp_path)], tmp_path)
    with pytest.raises(ConfigError, match="all runs are of another configuration"):
        write_report("ol_aux", "smoke", tmp_path)


def test_suites_of_which_nothing_has_finished_are_said(tmp_path):
    run = next(run for run in plan("multitask", "cpu", 1) if run.title == "expert tabletop reach")
    publish([{**run.to_json(), "versions": {}, "result": {"evaluation": rate(0.9)}}], tmp_path)
    page = write_report("multitask", "cpu", tmp_path)
    assert "Not measured yet: metaworld, tabletop_ten." in page
    assert "## tabletop\n" in page


def test_auxdistill_s_targets_by_hand():
    scores = Scores()
    for seed, (ours, plain) in enumerate(((0.6, 0.3), (0.9, 0.0))):
        for task, value in (("main", ours), ("pick", 0.1)):
            scores.add("oracle", task, seed, value)
            scores.add("none", task, seed, plain)
        scores.add("value", "main", seed, ours)
    columns = {"oracle": "", "value": "", "none": ""}
    ours, value, none = auxdistill.targets(scores, "main", columns)
    assert ours == "- with distillation: **0.750 [0.600, 0.900]**, must be ≥ 0.7: reached (2 seeds)"
    assert "over AuxDistill's success: **1.000 [1.000, 1.000]**, must be ≥ 0.8: reached" in value
    assert "over AuxDistill's success: **0.200 [0.000, 0.500]**, must be < 0.33: reached" in none
    nothing = Scores()
    for variant in columns:
        nothing.add(variant, "main", 0, 0.0)
    assert "no ratio, since AuxDistill has not succeeded" in auxdistill.targets(nothing, "main", columns)[1]


def test_auxdistill_s_tables_by_hand():
    parts, swept = Scores(), {0.1: Scores(), 0.01: Scores()}
    for seed in (0, 1):
        parts.add("oracle", "opened", seed, 0.5 + 0.5 * seed)
        swept[0.1].add("oracle", "main", seed, 0.25 * seed)
    parts.add("none", "placed", 0, 0.25)
    swept[0.01].add("oracle", "main", 0, 0.5)
    table = auxdistill.stages(parts, {"oracle": "ours", "none": "PPO"}).splitlines()
    assert table[0] == "|  | opened | placed |"
    assert table[2:] == ["| ours | 0.750 [0.500, 1.000] | – |", "| PPO | – | 0.250 |"]
    assert auxdistill.coefficients(swept).splitlines()[2:] == [
        "| 0.01 | 0.500 | 1 |",
        "| 0.1 | 0.125 [0.000, 0.250] | 2 |",
    ]


def test_auxdistill_s_curve_by_hand(tmp_path):
    # Four updates, a restart every two, of each of which the first update is left out: only two count.
    one = {"main": [1, 1, 1.0]}
    ended = [one, {"main": [4, 1, 1.0]}, one, {"main": [2, 2, 2.0], "a": [8, 2, 0.0]}]
    log = tmp_path / "progress.jsonl"
    log.write_text("".join(json.dumps({"step": 10 * n, "ended": one}) + "\n" for n, one in enumerate(ended, 1)))
    first, second = curve(log, ("main", "a"), restart=2, settling=1)
    assert first == {"step": 20, "success": {"main": 0.25, "a": None}}
    assert second == {"step": 40, "success": {"main": 1.0, "a": 0.25}}
    assert curve(log, ("main",), restart=2, settling=2) == []


def test_a_curve_is_cut_into_spans_of_like_length():
    assert spans([1, 2, 3, 4, 5, 6, 7], 3) == [[1, 2, 3], [4, 5], [6, 7]]
    assert spans([1, 2], 3) == [[1], [2]]
    assert spans([], 3) == []


def document(result: dict[str, Any], method: str = "separate", seed: int = 0, **learn: Any) -> dict[str, Any]:
    config = {"method": method, "tasks": list(TASKS), "learn": {"repetitions": 2, **learn}}
    return {"target": "m:maze", "config": config, "seed": seed, "result": result}


def test_areas_under_the_curves_by_hand():
    # Two points, two trainings of two tasks.
    points = [{"success": [[0.0, 0.0], [0.2, 1.0]]}, {"success": [[1.0, 0.0], [0.4, 1.0]]}]
    rows = ot_regularised.area_scores([document({"curve": points}, seed=3)]).rows()
    found = {(row["task"], row["seed"]): row["success"] for row in rows}
    reach, close = TASKS
    assert found == pytest.approx({(reach, 6): 0.5, (close, 6): 0.0, (reach, 7): 0.3, (close, 7): 1.0})
    returns = {**document({"curve": [{"return": [[500.0, 0.0]]}]}), "target": "m:continuous"}
    assert ot_regularised.area_scores([returns]).of("separate", "reach") == [0.5]


def test_where_the_proxy_reward_lies_by_hand():
    # Cells 0 and 1 are the first task's, 1 and 2 the second's, so 1 is shared; nobody goes to cell 3.
    result = {"visits": [[6, 2, 0, 0], [0, 2, 8, 0]], "proxy": [[0.6, 1.0, 0.0, 0.0], [0.0, 0.6, 0.4, 0.0]]}
    shared, others = ot_regularised.concentration(document(result, transport={"sigma": 0.5}))
    assert shared == pytest.approx((1.0 + 0.6) / 0.5 / 4)
    assert others == pytest.approx((0.6 + 0.4) / 0.5 / 14)


def test_steps_to_the_wanted_success_are_those_of_its_first_evaluation():
    rates = (0.1, 0.8, 0.5, 0.9)
    points = [{"step": 250 * n, "success": value} for n, value in enumerate(rates, 1)]
    assert ol_aux.steps_to({"result": {"curve": points}}) == 500
    assert ol_aux.steps_to({"result": {"curve": points[:1]}}) is None
