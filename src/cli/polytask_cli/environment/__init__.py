"""Set-up of everything the project runs on; standard library only, since it runs before anything is installed.

`python -m polytask_cli.environment` takes four steps, each skipped when its result is there already: system
packages, virtual environment, Python packages from requirements.lock, colcon workspace. Every step leaves its mark only
once it is complete, so a run that was stopped anywhere is carried on by the next one.
"""
