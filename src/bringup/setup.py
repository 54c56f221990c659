import sys
from pathlib import Path

from setuptools import setup

PACKAGE = "polytask_bringup"
ROOT = Path(__file__).resolve().parents[2]


def shared(folder: str) -> list[tuple[str, list[str]]]:
    """Install a folder of the repository, which stands at its top for people to find, as it is."""
    if all(argument.startswith("-") for argument in sys.argv[1:]):
        return []  # no command: colcon asks what is here, and would link the same paths relative to where it builds
    files: dict[Path, list[str]] = {}
    for path in sorted((ROOT / folder).rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            files.setdefault(path.parent.relative_to(ROOT), []).append(str(path))
    if not files:
        raise FileNotFoundError(f"{ROOT / folder} is missing: {PACKAGE} is built from a whole checkout of polytask-ros")
    return [(f"share/{PACKAGE}/{parent}", names) for parent, names in files.items()]


setup(
    name=PACKAGE,
    version="0.1.0",
    packages=[],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        ("share/ament_index/resource_index/polytask_config", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        *shared("launch"),
        *shared("config"),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},
    zip_safe=False,
    maintainer="polytask-ros maintainers",
    maintainer_email="maintainers@polytask-ros.org",
    description="Launch files, configuration, and what RViz shows.",
    license="Apache-2.0",
)
