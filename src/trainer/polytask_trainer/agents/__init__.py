"""Learning algorithms of an expert: behaviour cloning, and n-step DDPG regularised with it."""
