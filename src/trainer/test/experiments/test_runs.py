"""Runs of experiments: known by what they are, done once, the same after any interruption."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console
from toy_runs import two_runs

from polytask_policy.goals import UnknownGoal
from polytask_trainer.common.settings import ConfigError
from polytask_trainer.experiments import EXPERIMENTS
from polytask_trainer.experiments.framework.plan import BUDGETS, experiment, plan, with_needs
from polytask_trainer.experiments.framework.results import read_documents
from polytask_trainer.experiments.framework.run import Context, Run, Stopped, execute, finished
from polytask_trainer.experiments.framework.scheduler import schedule
from polytask_trainer.experiments.polytask import stages
from polytask_trainer.experiments.polytask.demonstrations import scripted
from polytask_trainer.experiments.polytask.runs import Experts, distilled_run, learn_settings
from polytask_trainer.experts.config import learn_config
from polytask_trainer.jobs.pool import JobEnded

SCHEDULE = """
import sys
from pathlib import Path
from rich.console import Console
from toy_runs import two_runs
from polytask_trainer.experiments.framework.scheduler import schedule
root = Path(sys.argv[1])
schedule(two_runs(), root, root / "results", Console(stderr=True))
"""


def run(**changes: object) -> Run:
    values = {"title": "a run", "target": "m:f", "config": {"a": 1, "b": None, "c": [1, 2]}, "seed": 0, **changes}
    return Run(**values)


def lines(root: Path) -> int:
    found = list(root.glob("expert-0-*/progress.jsonl"))
    return len(found[0].read_text().splitlines()) if found else 0


def test_a_run_is_known_by_what_it_does_and_not_by_what_it_is_called():
    assert run().digest == run(title="other", config={"c": (1, 2), "a": 1}).digest
    others = [run(target="m:g"), run(config={"a": 2}), run(seed=1), run(needs=(run(),)), run(needs=(run(seed=1),))]
    assert len({one.digest for one in (run(), *others)}) == 6
    assert run(title="Expert tabletop/Reach").name == f"expert-tabletop-reach-0-{run().digest}"


def test_an_entry_at_its_default_does_not_count_until_the_default_changes(tmp_path):
    old = run(config={"a": {"b": 2, "c": 1}}, defaults={"a": {"c": 1}})
    new = run(config={"a": {"b": 2, "c": 1, "added": 0}}, defaults={"a": {"c": 1, "added": 0}})
    assert old.digest == new.digest != run(config={"a": {"b": 2, "c": 3}}, defaults={"a": {"c": 1}}).digest
    folder = tmp_path / old.name
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps(old.to_json()))
    assert finished(tmp_path, new)
    changed = run(config={"a": {"b": 2, "c": 5}}, defaults={"a": {"c": 5}})
    assert changed.name == old.name
    with pytest.raises(ConfigError, match=r"made with other defaults: a.c \(1, now 5\)"):
        finished(tmp_path, changed)


def test_needs_come_first_and_each_once():
    a, b = run(title="a"), run(title="b", seed=1)
    both, more = run(title="c", needs=(b, a)), run(title="d", needs=(a,))
    assert [one.title for one in with_needs([both, more, a])] == ["b", "a", "c", "d"]


@pytest.mark.parametrize(("name", "budget"), [*itertools.product(EXPERIMENTS, BUDGETS), ("pixels", "gpu")])
def test_every_experiment_has_every_budget_and_no_two_runs_share_a_file(name, budget):
    runs = plan(name, budget, seeds=2)
    assert len({one.slug for one in runs}) == len(runs)
    assert (experiment(name).__doc__ or "").splitlines()[0].endswith((".", "?"))
    json.dumps([one.to_json() for one in runs])


def test_experts_are_shared_between_experiments():
    names = [
        {one.name for one in plan(name, "cpu", seeds=3) if one.title == "expert tabletop peg-green"}
        for name in EXPERIMENTS
    ]
    assert len(names[0]) == 3
    assert all(found == names[0] for found in names if found)


def test_changes_of_parts_keep_the_rest_of_the_part():
    changed = learn_settings(Experts(), "tabletop", "reach", {"matching": {"plan": "nearest"}})
    assert changed["matching"]["plan"] == "nearest"
    assert changed["matching"]["epsilon"] == learn_config({}).matching.epsilon
    assert changed["agent"]["gamma"] == 0.96  # config/trainer/tabletop.yaml


def test_an_expert_that_sees_has_the_settings_that_are_named_and_not_the_suite_s():
    experts = Experts(learn={"tabletop": {"steps": 7}, "pixels-48/reach": {"steps": 9, "pictures": {"stack": 2}}})
    blind = learn_settings(experts, "tabletop", "reach")
    sees = learn_settings(experts, "tabletop", "reach", settings="pixels-48")
    assert (blind["steps"], blind["pictures"]) == (7, None)
    assert (sees["steps"], sees["pictures"]["stack"], sees["pictures"]["size"]) == (9, 2, 48)


def test_the_paper_s_students_have_the_paper_s_sizes():
    for name in ("multitask", "pixels", "cheetah"):
        students = [one.config["distill"] for one in plan(name, "paper", seeds=1) if one.title.startswith("distilled")]
        assert students
        for student in students:
            assert (student["steps"], student["batch"], student["learning_rate"]) == (200_000, 256, 5e-5)
            assert (student["weight_decay"], tuple(student["hidden"])) == (0.0, (1024,) * 4)
    with pytest.raises(ConfigError, match="distill: unknown settings layers"):
        distilled_run([], "tabletop", 0, {"layers": 4})


def test_unknown_experiments_are_refused():
    with pytest.raises(ConfigError, match="there is no experiment 'nothing'; there are: "):
        plan("nothing", "cpu")


def test_demonstrations_are_the_script_s_and_end_at_success():
    first, second = scripted("tabletop", "drawer-close", 2, first=100)
    assert first.state.shape == (len(first.action) + 1, 45)
    assert len(first.action) < 60
    assert not (first.state[0] == second.state[0]).all()
    [again] = scripted("tabletop", "drawer-close", 1, first=100)
    assert (again.state == first.state).all()
    assert (again.action == first.action).all()


def test_demonstrations_show_what_the_camera_saw():
    [seen] = scripted("tabletop", "drawer-close", 1, first=100, cameras=True)
    [blind] = scripted("tabletop", "drawer-close", 1, first=100)
    pictures = seen.images["camera"]
    assert (pictures.shape, pictures.dtype) == ((len(seen.state), 84, 84, 3), "uint8")
    assert (pictures[0] != pictures[-1]).any()
    assert (seen.state == blind.state).all()
    assert not blind.images


def test_a_policy_is_asked_in_each_way_and_may_refuse(tmp_path):
    def understood(sentence: str) -> str:
        if sentence == "what":
            raise UnknownGoal("means nothing")
        return sentence

    policy = SimpleNamespace(
        no_goal=lambda: "nothing",
        goal_from_task=lambda name: f"task {name}",
        goal_from_words=understood,
        description=SimpleNamespace(instructions={"b": ("go", "what")}),
    )
    config = {"suite": "tabletop", "tasks": ["a", "b", "c"], "episodes": 2}
    context = Context(config, 0, tmp_path, [], lambda _: None, lambda: False)
    goals = {kind: stages._goals(kind, "b", policy, None, context) for kind in ("none", "task", "other", "words")}
    assert goals == {
        "none": ["nothing"],
        "task": ["task b"],
        "other": ["task a", "task c"],
        "words": ["go", None],
    }
    with pytest.raises(ValueError, match=r"kinds are task, words, .* not 'shouting'"):
        stages._goals("shouting", "b", policy, None, context)


def counting(context: Context) -> dict[str, int]:
    return {"sum": sum(context.piece(str(number), lambda n=number: made.append(n) or n) for number in range(4))}


made: list[int] = []


def test_pieces_are_made_once_in_all_sittings(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "counting_stage", sys.modules[__name__])
    one = run(target="counting_stage:counting")
    made.clear()
    assert not execute(one.to_json(), tmp_path, lambda _: None, lambda: len(made) == 2)["finished"]
    assert not finished(tmp_path, one)
    assert execute(one.to_json(), tmp_path, lambda _: None, lambda: False)["finished"]
    assert made == [0, 1, 2, 3]
    document = json.loads((tmp_path / one.name / "result.json").read_text())
    assert document["result"] == {"sum": 6}
    assert document["config"] == {"a": 1, "c": [1, 2]}
    assert {"python", "torch", "numpy", "POT", "rliable", "gymnasium-robotics"} <= set(document["versions"])
    assert re.fullmatch("[0-9a-f]{40}(-dirty)?", document["versions"].get("commit", 40 * "0"))
    assert json.loads((tmp_path / one.name / "times.json").read_text())["ended"]
    with pytest.raises(Stopped):
        Context({}, 0, tmp_path, [], lambda _: None, lambda: True).piece("a", dict)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_or_stopped_in_the_middle_an_experiment_gives_the_same_json(tmp_path, monkeypatch):
    whole, parts, console = tmp_path / "whole", tmp_path / "parts", Console(quiet=True)
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parents[1]}:{os.environ.get('PYTHONPATH', '')}")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the workers
    for one in two_runs():
        assert execute(one.to_json(), whole, lambda _: None, lambda: False)["finished"]
    torch.set_num_threads(threads)
    killed = subprocess.Popen([sys.executable, "-c", SCHEDULE, str(parts)])
    while lines(parts) < 4:
        assert killed.poll() is None
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    with pytest.raises(JobEnded) as stopped:
        schedule(two_runs(), parts, parts / "results", console, minutes=0.0)
    assert stopped.value.ending.how == "stopped"
    assert not (parts / "results").exists()
    schedule(two_runs(), parts, parts / "results", console)
    schedule(two_runs(), whole, whole / "results", console)  # all done: only published
    assert [path.name for path in (whole / "results").iterdir()] == ["runs.jsonl"]
    assert [one["title"] for one in read_documents(whole / "results")] == ["expert", "judged"]
    assert (parts / "results" / "runs.jsonl").read_bytes() == (whole / "results" / "runs.jsonl").read_bytes()
