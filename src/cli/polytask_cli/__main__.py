"""`python -m polytask_cli`: the polytask command."""

import os
import signal


def main() -> None:
    """Run the command; Ctrl-C while it is still imported ends it quietly, as nothing has begun."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as in the background of a script
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from polytask_cli.cli import main as run

    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
