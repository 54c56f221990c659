"""Rewards without the environment's: features of a trajectory, optimal transport, matching to a demonstration."""
