"""One table with an xArm 7, a drawer, a box, three cups and a peg on a string; every task from the same starts."""
