from setuptools import find_packages, setup

PACKAGE = "polytask_demo_recorder"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    install_requires=["setuptools", "mcap", "zstandard"],
    extras_require={"test": ["pytest", "mcap-ros2-support"]},
    zip_safe=False,
    maintainer="polytask-ros maintainers",
    maintainer_email="maintainers@polytask-ros.org",
    description="Episodes from topics to MCAP, keyboard teleoperation, and the dataset reader.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "demo_recorder = polytask_demo_recorder.executables:demo_recorder",
            "keyboard_teleop = polytask_demo_recorder.executables:keyboard_teleop",
        ],
    },
)
