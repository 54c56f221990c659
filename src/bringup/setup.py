from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "polytask_bringup"


def shared(folder: str) -> list[tuple[str, list[str]]]:
    """Install a folder as it is; launch and config are links to the repository's own: colcon wants relative paths."""
    files: dict[Path, list[str]] = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            files.setdefault(path.parent, []).append(str(path))
    return [(f"share/{PACKAGE}/{parent}", names) for parent, names in files.items()]


setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        *shared("launch"),
        *shared("config"),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="polytask-ros maintainers",
    maintainer_email="maintainers@polytask-ros.org",
    description="Launch files, configuration, and the polytask command.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "polytask = polytask_bringup.__main__:main",
            "visualizer = polytask_bringup.executables:visualizer",
        ],
    },
)
