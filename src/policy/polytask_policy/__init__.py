"""The goal-conditioned policy: networks, goal encoders, checkpoint files. No ROS."""
