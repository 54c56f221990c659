"""Auxiliary losses of agents that see, weighted online (OL-AUX, Lin et al. 2019)."""
