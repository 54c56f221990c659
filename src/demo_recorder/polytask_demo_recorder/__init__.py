"""Episodes from topics to MCAP, keyboard teleoperation, and the dataset reader."""
