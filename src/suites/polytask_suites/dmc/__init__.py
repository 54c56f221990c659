"""The DeepMind Control Suite's cheetah with ten lengths of torso."""
