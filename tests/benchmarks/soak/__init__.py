"""Full load for a long time, and what the processes hold meanwhile: `make soak`."""
