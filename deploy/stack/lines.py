"""Lines that a command prints while it starts and watches the parts of a deployment."""

from __future__ import annotations

from rich.console import Console

from deploy.local.process.child_process import ChildProcess
from deploy.services.required import shown_path


def print_done(console: Console, what: str) -> None:
    """Print what is done, with a check mark."""
    console.print(f"[green]✓[/] {what}", highlight=False, soft_wrap=True)


def ended(name: str, process: ChildProcess) -> str:
    """The failure of a process that should run."""
    log = shown_path(process.log)
    return f"{name} has ended with code {process.exit_code}. The end of {log}:\n{process.last_log_lines()}"
