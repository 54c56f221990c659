"""`python -m polytask_bringup`: the polytask command."""

from polytask_bringup.cli import main

main()
