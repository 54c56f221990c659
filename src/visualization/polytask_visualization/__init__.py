"""The node that shows in RViz what a policy sees and is asked for."""
