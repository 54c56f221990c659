from setuptools import find_packages, setup

PACKAGE = "polytask_suites"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    install_requires=["setuptools", "dm-control", "fast-simplification", "gym-xarm", "metaworld"],
    extras_require={"test": ["pytest"]},
    package_data={PACKAGE: ["*.yaml", "*/*.xml"]},
    zip_safe=False,
    maintainer="polytask-ros maintainers",
    maintainer_email="maintainers@polytask-ros.org",
    description="Task suites as Gymnasium environments, without ROS.",
    license="Apache-2.0",
)
