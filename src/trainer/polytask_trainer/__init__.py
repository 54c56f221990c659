"""Demonstration-guided RL with optimal-transport rewards, distillation, and the trainer node."""
