"""Hook of MkDocs: a page of the reference for each module that a user may import, made from its docstrings.

The modules are found in src/ at each build, so a module that is moved takes its page with it. Nothing is imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

SOURCES = Path(__file__).parents[1] / "src"
FOLDER = "reference/api"
LEFT_OUT = ("polytask_cli", "polytask_trainer.benchmarks", "polytask_trainer.experiments")
"""Packages that hold commands and studies, not a library."""


def modules() -> list[str]:
    """Dotted names of the modules, sorted: a package stands before what is in it."""
    names = set()
    for path in SOURCES.glob("*/polytask_*/**/*.py"):
        parts = path.relative_to(SOURCES).with_suffix("").parts[1:]
        if parts[-1] == "__init__":
            parts = parts[:-1]
        name = ".".join(parts)
        if not parts[-1].startswith("_") and not f"{name}.".startswith(tuple(f"{left}." for left in LEFT_OUT)):
            names.add(name)
    return sorted(names)


def tree(names: list[str]) -> list[Any]:
    """Entries of the navigation: a module is a page, a package with modules a section that begins with its own page."""
    entries: list[Any] = []
    for name in names:
        inside = [other for other in names if other.startswith(f"{name}.")]
        if any(name.startswith(f"{other}.") for other in names):
            continue
        page = f"{FOLDER}/{name}.md"
        entries.append({name: [page, *tree(inside)] if inside else page})
    return entries


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages into the navigation, at the end of its section "Reference"."""
    [reference] = [section["Reference"] for section in config.nav if "Reference" in section]
    reference.append({"Python modules": tree(modules())})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Make the pages."""
    for name in modules():
        content = f"# `{name}`\n\n::: {name}\n"
        files.append(File.generated(config, f"{FOLDER}/{name}.md", content=content))
    return files
