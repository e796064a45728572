"""Deployments that are broken on purpose: under load, again and again, and compared with the reference when nothing is left to do."""
