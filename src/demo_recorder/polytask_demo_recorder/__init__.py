"""Episodes from the topics to files, safe against crashes, and back to arrays; keyboard teleoperation."""
