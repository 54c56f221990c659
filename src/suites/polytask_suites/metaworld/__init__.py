"""Meta-World's tasks (version 3) behind the same interface as the tabletop."""
