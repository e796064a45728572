"""Runs the command `firstcall`: `python -m firstcall`."""

from firstcall import main

main()
