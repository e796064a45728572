"""Lines that a command prints while it starts and watches the parts of a deployment."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from deploy.services.required import shown_path


def print_done(console: Console, what: str) -> None:
    """Print what is done, with a check mark."""
    console.print(f"[green]✓[/] {what}", highlight=False, soft_wrap=True)


def ended(name: str, code: int, log: Path, last_lines: str) -> str:
    """The failure of a process that should run."""
    return f"{name} has ended with code {code}. The end of {shown_path(log)}:\n{last_lines}"
