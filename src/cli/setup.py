from setuptools import find_packages, setup

PACKAGE = "polytask_cli"

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
    package_data={PACKAGE: ["demo/report/*.j2"]},
    zip_safe=False,
    maintainer="polytask-ros maintainers",
    maintainer_email="maintainers@polytask-ros.org",
    description="The polytask command, its launch runner and doctor, and the demo.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "polytask = polytask_cli.__main__:main",
        ],
    },
)
