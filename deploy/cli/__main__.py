"""Runs the command `firstcall`: `python -m deploy.cli`."""

from deploy.cli.main import main

main()
