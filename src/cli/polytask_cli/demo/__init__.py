"""The whole job from demonstrations to a served policy, measured and written up: ``./polytask demo``."""

from polytask_cli.demo.options import DemoError, DemoOptions

__all__ = ["DemoError", "DemoOptions", "run_demo"]


def run_demo(options: DemoOptions) -> None:
    """See :func:`polytask_cli.demo.run.run_demo`; imported only when it runs, for a quick ``--help``."""
    from polytask_cli.demo.run import run_demo as run

    run(options)
