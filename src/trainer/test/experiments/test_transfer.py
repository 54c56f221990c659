"""The experiment `transfer`: what its report says, and that a stopped run gives the same curve."""

import json

import pytest

from polytask_trainer.experiments.framework.plan import plan
from polytask_trainer.experiments.framework.run import execute
from polytask_trainer.experiments.polytask import transfer

HELP = {"rounds": [[None, 1]], "good": 5.0, "fade": 1500}


def document(task, begins, seed, successes, matched=()):
    """A run that was judged every 1000 steps, a few steps later."""
    curve = [{"step": 1000 * number + 7 * bool(number), "success": s} for number, s in enumerate(successes)]
    learn = {"steps": 3000, "agent": {"hidden": [16]}}
    config = {"task": task, "begins": begins, "every": 1000, "episodes": 25, "learn": learn}
    config |= {"help": HELP} if begins == transfer.WARM else {}
    result = {"curve": curve, "trials": [{"by": "reach", "matched": one} for one in matched]}
    return {"title": f"{task} {begins}", "target": transfer.TARGET, "config": config, "seed": seed, "result": result}


def test_the_report_says_what_was_saved_where_both_arrived():
    documents = [
        document("peg-blue", transfer.COLD, 0, [0.0, 0.2, 0.4, 0.8]),
        document("peg-blue", transfer.WARM, 0, [0.4, 0.8, 0.6, 0.6], (5.0, 4.9)),
        document("peg-blue", transfer.COLD, 1, [0.0, 0.0, 0.0, 0.4]),
        document("peg-blue", transfer.WARM, 1, [0.0, 0.0, 0.8, 0.8], (1.0, 2.0)),
    ]
    page = "\n".join(transfer.report(documents).sections)
    assert "| peg-blue | nothing | 3007 · > 3000 | 0.00 · 0.00 | 0.80 · 0.40 | – · – |" in page
    assert "| peg-blue | the others' policy | 1007 · 2007 | 0.40 · 0.00 | 0.60 · 0.80 | 1 of 2 · 0 of 2 |" in page
    assert "match the demonstration by 5 of 10 or more are imitated too, until 1500 steps" in page
    assert "peg-blue: 1 of 2 seeds reached 80% both ways; steps saved there: 2000" in page
    # ((0.8 + 0.6 + 0.6) + (0.8 + 0.8)) / 6 less ((0.2 + 0.4 + 0.8) + 0.4) / 6
    assert "with help less from nothing: 0.300 [" in page


def test_a_policy_knows_all_tasks_but_the_one_that_is_learned():
    warm = [run for run in plan("transfer", "cpu", seeds=1) if run.config.get("begins") == transfer.WARM]
    assert [run.config["task"] for run in warm] == ["peg-green", "box-open", "peg-blue", "drawer-open"]
    for run in warm:
        [policy] = run.needs
        known = [expert.config["task"] for expert in policy.needs]
        assert len(known) == 6
        assert run.config["task"] not in known


def test_another_way_to_help_is_another_run(monkeypatch):
    before = {run.title: run.digest for run in plan("transfer", "smoke")}
    monkeypatch.setattr(transfer, "ROUNDS", ((None, 5),))
    after = {run.title: run.digest for run in plan("transfer", "smoke")}
    changed = [title for title in before if before[title] != after[title]]
    assert changed == [f"transfer tabletop drawer-close from {transfer.WARM}"]


@pytest.mark.slow
def test_stopped_anywhere_a_run_gives_the_same_curve(tmp_path):
    [cold] = [run for run in plan("transfer", "smoke") if run.config.get("begins") == transfer.COLD]
    asked = 0

    def at_every_third_time():
        nonlocal asked
        asked += 1
        return asked % 3 == 0

    assert execute(cold.to_json(), tmp_path / "whole", lambda _: None, lambda: False)["finished"]
    sittings = 1
    while not execute(cold.to_json(), tmp_path / "parts", lambda _: None, at_every_third_time)["finished"]:
        sittings += 1
    assert sittings > 2
    whole, parts = (
        json.loads((tmp_path / name / cold.name / "result.json").read_text())["result"] for name in ("whole", "parts")
    )
    assert whole == parts
    assert [point["step"] >= mark for point, mark in zip(whole["curve"], (0, 60, 120), strict=True)] == [True] * 3
    assert whole["curve"][0]["step"] == 0
