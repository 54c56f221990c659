"""Franka Kitchen: one kitchen, one distribution of start states, every task from the same starts."""
