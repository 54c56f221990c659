from setuptools import find_packages, setup

PACKAGE = "polytask_policy"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={PACKAGE: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    install_requires=["setuptools", "safetensors", "sentence-transformers"],
    extras_require={"test": ["pytest"]},
    zip_safe=False,
    maintainer="polytask-ros maintainers",
    maintainer_email="maintainers@polytask-ros.org",
    description="The goal-conditioned policy: networks, goal encoders, checkpoint files. No ROS.",
    license="Apache-2.0",
)
