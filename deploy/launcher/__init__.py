"""The package `firstcall` of the wheel, which holds the folders schemas, streams, sinks and deploy.

At the top of site-packages their plain names could collide with other distributions, and pip overwrites files in silence.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Run the command `firstcall` with the folders beside this file first on the import path."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from deploy.cli.main import main as run

    run()
