"""The commands of `./polytask`, one module per group. Heavy imports (torch, rclpy) wait until a command runs."""
