"""Launch files, configuration, and the polytask command."""
