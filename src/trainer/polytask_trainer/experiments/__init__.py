"""Experiments: what is run, at which size, and how its report looks.

An experiment is a module, listed in ``EXPERIMENTS``, with

- ``Settings``: a dataclass of its size, with a field ``seeds``; config/experiments/NAME.yaml has a section per budget;
- ``runs(settings, seed)``: the runs of one seed; what they need comes along by itself;
- ``report(documents)``: a :class:`~.framework.report.Report`, from its published runs alone.

What a run does is a function of a module called ``stages``. The package ``framework`` knows nothing of any method.
"""

EXPERIMENTS = {
    "multitask": "polytask.multitask",
    "goal_kinds": "polytask.goal_kinds",
    "lifelong": "polytask.lifelong",
    "reservoir": "polytask.reservoir",
    "transfer": "polytask.transfer",
    "rewards": "polytask.rewards",
    "cheetah": "polytask.cheetah",
    "pixels": "polytask.pixels",
    "ol_aux": "others.ol_aux",
    "auxdistill": "others.auxdistill",
    "ot_regularised": "others.ot_regularised",
}
"""Modules in this package by the experiment's name."""

FORMER_MODULES = {
    f"{__name__}.polytask.stages": f"{__name__}.works",
    f"{__name__}.polytask.transfer_stages": f"{__name__}.transfer_works",
    f"{__name__}.polytask.task_sequence": f"{__name__}.sequences",
    f"{__name__}.others.auxdistill_stages": f"{__name__}.auxdistill_works",
    f"{__name__}.others.ol_aux_stages": f"{__name__}.ol_aux_works",
    f"{__name__}.others.ot_regularised_stages": f"{__name__}.ot_works",
}
"""Where functions of runs stood when the first of these were published: in digests they keep that name, so that moving
code makes no run new."""
