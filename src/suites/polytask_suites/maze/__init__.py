"""Mazes on a grid, stepped in batches."""
