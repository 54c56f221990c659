"""Several tasks at once, an agent each, that share behaviour by optimal transport between their trajectories.

Le and Ta (2023), "Distill Knowledge in Multi-task Reinforcement Learning with Optimal-Transport Regularization", arXiv
2309.15603; with Distral (Teh et al., 2017, arXiv 1707.04175) and separate training beside it.
"""
