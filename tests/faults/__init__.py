"""Deployments that are broken on purpose: under load, again and again, and judged by the reference when all is settled."""
