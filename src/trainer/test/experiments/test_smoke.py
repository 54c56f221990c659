"""Every experiment at its smallest, from its runs to its report; the text model is replaced by a quick one."""

import hashlib

import numpy as np
import pytest
from rich.console import Console

from polytask_policy.text import EMBEDDING_SIZE, TextEncoder
from polytask_trainer.experiments import EXPERIMENTS
from polytask_trainer.experiments.framework.plan import plan
from polytask_trainer.experiments.framework.report import write_report
from polytask_trainer.experiments.framework.results import read_documents
from polytask_trainer.experiments.framework.run import execute
from polytask_trainer.experiments.framework.scheduler import schedule

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def vectors(self, sentences):
    """A random unit vector for each sentence, always the same."""
    seeds = [int(hashlib.sha256(line.encode()).hexdigest()[:8], 16) for line in sentences]
    found = np.stack([np.random.default_rng(seed).normal(size=EMBEDDING_SIZE) for seed in seeds])
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_smoke_budget(name, root, monkeypatch):
    monkeypatch.setattr(TextEncoder, "encode", vectors)
    runs = plan(name, "smoke")
    for run in runs:
        assert execute(run.to_json(), root, lambda _: None, lambda: False)["finished"]
    results = root / "reports" / name
    schedule(runs, root, results, Console(quiet=True))
    assert sorted(one["name"] for one in read_documents(results)) == sorted(run.name for run in runs)
    page = write_report(name, "smoke", results)
    assert f"./polytask experiment {name} --budget smoke" in page
    assert "not measured yet" not in page
    assert list(results.glob("*.png"))
