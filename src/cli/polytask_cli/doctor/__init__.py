"""`./polytask doctor`: look at the machine, and try what has to work."""

from polytask_cli.doctor.examination import examine

__all__ = ["examine"]
