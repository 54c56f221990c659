"""Run YAML launch files, with launch_ros where ROS 2 is installed and with a small runner of its own elsewhere.

The runner does what launch_ros would do with the part of the language that `launch/*.launch.yaml` uses, and stops with
a `LaunchError` at any tag, attribute or substitution beyond it: actions `arg`, `let`, `set_env`, `include`,
`group`, `node`; conditions `if` and `unless`; substitutions `$(var NAME)`, `$(find-pkg-share PACKAGE)`,
`$(env NAME [DEFAULT])`, and `$(eval 'os.getpid()' 'os')` for the launcher.
"""

from polytask_cli.launch_runner.run import find_launch_file, list_arguments, run_launch_file
from polytask_cli.launch_runner.substitutions import LaunchError

__all__ = ["LaunchError", "find_launch_file", "list_arguments", "run_launch_file"]
