"""AuxDistill (Harish et al. 2024): learn a long task by distilling easier tasks, learned at the same time, into it.

``learn.py`` is the algorithm; docs/auxdistill.md says where it goes beyond the paper.
"""
