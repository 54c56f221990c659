"""The files of published runs: written whole, by several processes, and no larger than a repository may hold."""

import json
import multiprocessing
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from polytask_trainer.common.settings import ConfigError
from polytask_trainer.experiments import EXPERIMENTS
from polytask_trainer.experiments.framework.plan import plan
from polytask_trainer.experiments.framework.results import publish, read_documents

ROOT = Path(__file__).parents[4]
RESULTS = ROOT / "docs" / "results"
PUBLISHED = sorted(path.parent for path in RESULTS.glob("experiments/*/*/runs.jsonl"))


def document(title: str, seed: int = 0, result: Any = 1) -> dict[str, Any]:
    return {"title": title, "seed": seed, "result": result}


def test_a_run_a_line_in_the_order_of_their_names_and_the_last_of_a_name_counts(tmp_path):
    folder = tmp_path / "new" / "cpu"
    publish([document("sequence 3 percent"), document("Expert b", 1), document("expert a", 10)], folder)
    publish([document("expert a", 2), document("Expert b", 1, {"success": [0.5, 1]})], folder)
    assert (folder / "runs.jsonl").read_text() == (
        '{"title":"expert a","seed":10,"result":1}\n'
        '{"title":"expert a","seed":2,"result":1}\n'
        '{"title":"Expert b","seed":1,"result":{"success":[0.5,1]}}\n'
        '{"title":"sequence 3 percent","seed":0,"result":1}\n'
    )
    assert [(one["title"], one["seed"]) for one in read_documents(folder)][1:3] == [("expert a", 2), ("Expert b", 1)]
    assert [path.name for path in folder.iterdir()] == ["runs.jsonl"]


def test_nothing_finished_and_a_broken_line_are_said(tmp_path):
    with pytest.raises(ConfigError, match="no run has finished yet"):
        read_documents(tmp_path)
    publish([document("a")], tmp_path)
    with (tmp_path / "runs.jsonl").open("a") as file:
        file.write('{"title": "b"\n')
    for call in (lambda: read_documents(tmp_path), lambda: publish([document("c")], tmp_path)):
        with pytest.raises(ConfigError, match=r"runs.jsonl, line 2: is no JSON \(.*\); restore or delete the line"):
            call()
    assert len((tmp_path / "runs.jsonl").read_text().splitlines()) == 2


def _publish_many(folder: Path, name: str) -> None:
    for seed in range(20):
        publish([document(name, seed)], folder)


def test_processes_that_publish_at_once_lose_nothing_of_each_other_s(tmp_path):
    context = multiprocessing.get_context("fork")
    names = ["a", "b", "c"]
    processes = [context.Process(target=_publish_many, args=(tmp_path, name)) for name in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert {(one["title"], one["seed"]) for one in read_documents(tmp_path)} == {
        (name, seed) for name in names for seed in range(20)
    }


def _publish_for_ever(folder: Path) -> None:
    while True:
        publish([document("b", seed) for seed in range(200)], folder)


def test_killed_while_it_publishes_a_process_leaves_what_was_there_and_no_lock(tmp_path):
    publish([document("a")], tmp_path)
    killed = multiprocessing.get_context("fork").Process(target=_publish_for_ever, args=(tmp_path,))
    killed.start()
    while len(read_documents(tmp_path)) == 1:
        assert killed.is_alive()
    os.kill(killed.pid or 0, signal.SIGKILL)
    killed.join()
    publish([document("c")], tmp_path)
    assert [one["title"] for one in read_documents(tmp_path)] == ["a", *["b"] * 200, "c"]


def test_every_published_run_is_one_of_today_s_experiments():
    """By its digest, which neither moving code nor adding settings may change: else it would be done again."""
    assert {folder.parent.name for folder in PUBLISHED} == set(EXPERIMENTS)
    for folder in PUBLISHED:
        documents = read_documents(folder)
        runs = plan(folder.parent.name, folder.name, 1 + max(one["seed"] for one in documents))
        by_name = {run.name: run for run in runs}
        for one in documents:
            assert by_name[one["name"]].target == one["target"]
            assert not by_name[one["name"]].differing(one["config"])


def test_results_are_no_larger_than_a_repository_may_hold():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", RESULTS], capture_output=True, check=True, text=True)
    sizes = {name: (ROOT / name).stat().st_size for name in listed.stdout.split("\0") if name}
    assert sum(sizes.values()) < 10e6
    assert max(sizes.values()) < 2e6, max(sizes, key=sizes.__getitem__)
    assert len(sizes) < 100


def test_tools_know_results_as_generated_but_for_the_page_about_them():
    files = ["docs/results/experiments/rewards/cpu/runs.jsonl", "docs/results/README.md"]
    command = ["git", "-C", ROOT, "check-attr", "linguist-generated", "diff", "--", *files]
    said = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    assert [line.rpartition(": ")[2] for line in said] == ["set", "unset", "unset", "set"]


def test_published_runs_are_compact():
    for folder in PUBLISHED:
        for line in (folder / "runs.jsonl").read_text().splitlines():
            assert line == json.dumps(json.loads(line), separators=(",", ":"))
