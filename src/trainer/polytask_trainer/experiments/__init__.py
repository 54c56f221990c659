"""Experiments: what is run, at which size, and how its report looks.

An experiment is a module of this package, listed in ``EXPERIMENTS``, with

- ``Settings``: a dataclass of its size, with a field ``seeds``; config/experiments/NAME.yaml has a section per budget;
- ``runs(settings, seed)``: the runs of one seed; what they need comes along by itself;
- ``report(documents)``: a :class:`Report`, from the JSON of its finished runs alone.

``run.py``, ``plan.py``, ``conduct.py`` and ``report.py`` know nothing of any method.
"""

EXPERIMENTS: tuple[str, ...] = (
    "multitask",
    "goal_kinds",
    "lifelong",
    "reservoir",
    "transfer",
    "rewards",
    "cheetah",
    "pixels",
    "ol_aux",
    "auxdistill",
    "ot_regularised",
)
