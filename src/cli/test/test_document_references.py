"""What documents and comments refer to exists: pages, headings, files, modules and what is in them. Lines are short."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = [path for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")] if "experiments" not in path.parts]
PROGRAMS = [*ROOT.glob("src/*/polytask_*/**/*.py"), *ROOT.glob("src/*/test/**/*.py"), *ROOT.glob("test/*.py")]
SETTINGS = [*ROOT.glob("config/**/*.*ml"), *ROOT.glob("launch/*.yaml"), ROOT / "conftest.py", ROOT / ".ci" / "run"]

LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"(?<![\w/.~$-])(?:src|config|docs|launch|test)/[\w./<>*{}…-]*[\w>*}…]")
PART = re.compile(r"(?<![\w/.~$<*-])(?:[a-z_]\w*/)*[a-z_]\w*\.(?:py|yaml)\b(?!/)")
MODULE = re.compile(r"(?<![\w/.])polytask_\w+(?:\.\w+)+")
WIDTH = 110
STANDS_FOR_SOMETHING = re.compile(r"[<>*{}…]|(?<![\w])[A-Z]+(?![\w])")
ELSEWHERE = {"rosdep/python.yaml"}
"""Files of other projects that comments name."""


def prose(path: Path) -> str:
    """Comments and docstrings of a program; all of any other file, code blocks of documents included."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return text
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Expr)]
    values = [node.value for node in nodes if isinstance(node.value, ast.Constant)]
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return "\n".join([*(value.value for value in values if isinstance(value.value, str)), *comments])


@cache
def headings(path: Path) -> set[str]:
    """Anchors of a document's headings."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def dead_links(path: Path) -> Iterator[str]:
    """Relative links of a document that lead nowhere."""
    for link in LINK.findall(path.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in headings(target)):
            yield link


def long_lines(path: Path) -> Iterator[str]:
    """Lines of a document's prose that are wider than WIDTH and could be broken."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for line in text.splitlines():
        if len(line) > WIDTH and not line.startswith(("|", "#", "![")) and " " in line[:WIDTH].strip(" -"):
            yield line


def dead_paths(text: str) -> Iterator[str]:
    """Paths from the repository's top that are none."""
    for named in PATH.findall(text):
        if not STANDS_FOR_SOMETHING.search(named) and not (ROOT / named).exists():
            yield named


@cache
def files() -> list[str]:
    """All programs and settings, from the repository's top."""
    folders = [ROOT / name for name in ("src", "config", "launch", "test", "docs")]
    found = [path for folder in folders for kind in ("py", "yaml") for path in folder.rglob(f"*.{kind}")]
    return [f"/{path.relative_to(ROOT).as_posix()}" for path in [*found, *ROOT.glob("*.yaml"), *ROOT.glob("*.py")]]


def dead_files(text: str) -> Iterator[str]:
    """Programs and settings that are named without their whole path, and are nowhere."""
    for named in PART.findall(PATH.sub("", text)):
        if named not in ELSEWHERE and not any(file.endswith(f"/{named}") for file in files()):
            yield named


@cache
def names_in(file: Path) -> set[str]:
    """What a module defines or imports at its top level."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def is_there(dotted: str) -> bool:
    """Whether a module is there, and has what is named of it."""
    package, *rest = dotted.split(".")
    if package == "polytask_interfaces":
        kind, *name = rest
        folder = ROOT / "src" / package / kind
        return folder.is_dir() and (not name or (folder / f"{name[0]}.{kind}").exists())
    for place in ROOT.glob(f"src/*/{package}"):
        for number, part in enumerate(rest):
            if (place / part).is_dir():
                place = place / part
            elif (place / f"{part}.py").exists():
                remaining = rest[number + 1 :]
                return not remaining or remaining[0] in names_in(place / f"{part}.py")
            else:
                return (place / part).with_suffix(".yaml").exists() or part in names_in(place / "__init__.py")
        return True
    return False


def dead_modules(text: str) -> Iterator[str]:
    """Dotted names of the project's modules that are none."""
    for named in MODULE.findall(text):
        if not is_there(named):
            yield named


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_links_of_documents_lead_somewhere(path):
    assert list(dead_links(path)) == []


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path.name != "CHANGELOG.md"], ids=named)
def test_prose_is_wrapped(path):
    assert list(long_lines(path)) == []


@pytest.mark.parametrize("path", [*DOCUMENTS, *PROGRAMS, *SETTINGS], ids=named)
def test_files_and_modules_that_are_named_exist(path):
    text = prose(path)
    assert [*dead_paths(text), *dead_files(text), *dead_modules(text)] == []


@pytest.mark.parametrize(
    ("text", "dead"),
    [
        ("see `docs/results.md` and docs/results/README.md", ["docs/results.md"]),
        ("src/trainer/polytask_trainer and src/nowhere/setup.py", ["src/nowhere/setup.py"]),
        ("`config/experiments/NAME.yaml`, `src/*/test`, /etc/config/x.yaml", []),
        ("``documents.py`` beside ``framework/run.py``", ["documents.py"]),
        ("polytask_policy.checkpoint, polytask_policy.nothing", ["polytask_policy.nothing"]),
        ("polytask_policy.goals.Limits, polytask_policy.goals.Lost", ["polytask_policy.goals.Lost"]),
        ("polytask_interfaces.action.ExecuteTask, polytask_interfaces.msg.Lost", ["polytask_interfaces.msg.Lost"]),
    ],
)
def test_what_is_not_there_is_noticed(text, dead):
    assert [*dead_paths(text), *dead_files(text), *dead_modules(text)] == dead


def test_a_dead_link_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One heading\n[a](#one-heading) [b](#two) [c](page.md) [d](other.md) [e](https://example.org)\n")
    assert list(dead_links(page)) == ["#two", "other.md"]
