"""AuxDistill (Harish et al. 2024): learn a long task by distilling easier tasks, learned at the same time, into it.

``learn.py`` is the algorithm; docs/explanation/auxdistill.md says where it goes beyond the paper. No equation of the
paper is named here, since it was written from a summary of the paper and the authors' code, without the full text.
"""
