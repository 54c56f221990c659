from setuptools import find_packages, setup

PACKAGE = "polytask_robot_io"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest", "mcap", "mcap-ros2-support"]},
    zip_safe=False,
    maintainer="polytask-ros maintainers",
    maintainer_email="maintainers@polytask-ros.org",
    description="The topic contract: messages to arrays and back, time synchronisation, QoS, command limits.",
    license="Apache-2.0",
)
