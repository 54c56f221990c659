"""From the published runs to a page of tables, a CSV file and figures."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polytask_policy.checkpoint import write_atomically
from polytask_trainer.common.settings import ConfigError
from polytask_trainer.experiments.framework.plan import experiment, plan
from polytask_trainer.experiments.framework.results import Document, read_documents

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Report:
    """What an experiment shows.

    Attributes:
        sections: Markdown, in order.
        rows: of the CSV file, all with the same columns.
        figures: by file name (.png).

    """

    sections: Sequence[str]
    rows: Sequence[Mapping[str, Any]] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A picture: what draws it, and what it shows."""

    draw: Callable[[Axes], None]
    caption: str


def select(documents: Iterable[Document], function: str, **config: Any) -> list[Document]:
    """Runs of a function with these entries of their configuration, in the order of their seeds."""

    def fits(document: Document) -> bool:
        own = document["config"]
        return document["target"].endswith(f":{function}") and all(
            own.get(key) == value for key, value in config.items()
        )

    return sorted(filter(fits, documents), key=lambda document: (document["seed"], document["title"]))


def planned(documents: Sequence[Document], name: str, budget: str) -> tuple[list[Document], list[Document]]:
    """Those whose configuration is the experiment's at this budget today, with any seed, and the others."""
    runs = {run.name: run for run in plan(name, budget, seeds=1 + max(document["seed"] for document in documents))}
    found: tuple[list[Document], list[Document]] = ([], [])
    for document in documents:
        run = runs.get(document["name"])
        found[run is None or bool(run.differing(document["config"]))].append(document)
    return found


def unmeasured(documents: Sequence[Document], name: str, budget: str) -> list[str]:
    """Suites of the experiment at this budget of which no run has finished."""
    suites = dict.fromkeys(run.config.get("suite") for run in plan(name, budget, seeds=1))
    known = {document["config"].get("suite") for document in documents}
    return [suite for suite in suites if suite is not None and suite not in known]


def write_report(name: str, budget: str, folder: Path) -> str:
    """Write ``report.md``, ``report.csv`` and the figures beside the runs; gives the page.

    Runs of another configuration than today's are named and left out. Raises ConfigError where none is left.
    """
    documents, others = planned(read_documents(folder), name, budget)
    if not documents:
        raise ConfigError(f"{folder}: all runs are of another configuration than {_command(name, budget)} has now")
    return write_page(name, budget, folder, documents, others, unmeasured(documents, name, budget))


def write_page(
    name: str,
    budget: str,
    folder: Path,
    documents: Sequence[Document],
    others: Sequence[Document] = (),
    missing: Sequence[str] = (),
) -> str:
    """Write the report of ``documents``; ``others`` are named as left out, suites that are ``missing`` as such."""
    report: Report = experiment(name).report(documents)
    page = [
        f"# {name}, budget {budget}",
        (experiment(name).__doc__ or "").strip(),
        f"```\n{_command(name, budget)}\n```",
    ]
    page.append(_about(documents))
    if others:
        named = sorted(f"{document['title']} {document['seed']}" for document in others)
        page.append(f"Of another configuration, left out: {', '.join(named)}.")
    if missing:
        page.append(f"Not measured yet: {', '.join(missing)}.")
    page += report.sections
    for file, figure in report.figures.items():
        _draw(folder / file, figure)
        page.append(f"![{figure.caption}]({file})")
    text = "\n\n".join(page) + "\n"
    write_atomically(folder / "report.md", text.encode())
    if report.rows:
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, list(report.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(report.rows)
        write_atomically(folder / "report.csv", buffer.getvalue().encode())
    return text


def _command(name: str, budget: str) -> str:
    return f"./polytask experiment {name} --budget {budget}"


def _about(documents: Sequence[Document]) -> str:
    seeds = sorted({document["seed"] for document in documents})
    versions = {
        json.dumps({k: v for k, v in d["versions"].items() if k != "commit"}, sort_keys=True) for d in documents
    }
    said = ", ".join(f"{key} {value}" for key, value in json.loads(min(versions)).items())
    more = f" and {len(versions) - 1} other sets of versions" if len(versions) > 1 else ""
    return f"{len(documents)} runs, seeds {', '.join(map(str, seeds))}; {said}{more}."


def _draw(path: Path, figure: Figure) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    canvas, axes = pyplot.subplots(figsize=(7.0, 3.6))
    figure.draw(axes)
    canvas.tight_layout()
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    pyplot.close(canvas)
    write_atomically(path, buffer.getvalue())


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
