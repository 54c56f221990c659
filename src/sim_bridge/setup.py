from setuptools import find_packages, setup

PACKAGE = "polytask_sim_bridge"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},
    zip_safe=False,
    maintainer="polytask-ros maintainers",
    maintainer_email="maintainers@polytask-ros.org",
    description="The node that puts a task suite on the robot's topics.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "sim_bridge = polytask_sim_bridge.executables:sim_bridge",
            "scripted_expert = polytask_sim_bridge.executables:scripted_expert",
        ],
    },
)
