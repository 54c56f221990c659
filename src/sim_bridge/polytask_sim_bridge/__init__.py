"""Task suites as Gymnasium environments, and the node that puts one on the robot's topics."""
