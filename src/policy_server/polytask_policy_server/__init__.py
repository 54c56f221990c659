"""The action server that does a task when asked in words, by picture or by name."""
