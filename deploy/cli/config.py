"""The commands `firstcall config check`, `show` and `diff`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer
import yaml

from deploy.cli.terminal import err, fail, out, reported_failures, settings_or_exit

if TYPE_CHECKING:
    from schemas.config.changes import Change
    from schemas.config.file import Configuration

config = typer.Typer(
    name="config",
    help="The configuration file: check it, see what holds, see what a change would do.\n\n"
    "Example: `firstcall config check`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
_COUNTED: Final = ("selectors", "stages", "activations", "segments", "churn_risks", "power_users")
File = Annotated[Path | None, typer.Argument(help="A YAML file. Without it: the one that FIRSTCALL_CONFIG names.")]


@config.command()
@reported_failures()
def check(file: File = None) -> None:
    """Report everything that is wrong with a file, with line, field and what was probably meant. Exits with 2 then.

    Example: `firstcall config check firstcall.yaml`
    """
    from schemas.config.document import problem_lines
    from schemas.config.monitors import unread_files

    found = _read(file)
    unread = problem_lines(unread_files(found.monitors), found.document)
    if unread:
        err.plain(f"Alerts need these files where they run:\n{unread}", "yellow")
    counts = [_counted(section, len(getattr(found.definitions, section))) for section in _COUNTED]
    own = "" if found.document.has("monitors") else " (the default ones)"
    counts.append(f"{_counted('monitors', len(found.monitors.watch))}{own}")
    counts.append(_counted("channels", len(found.monitors.channels)))
    counts.append(_counted("settings", len(found.settings)))
    fingerprint = found.definitions.fingerprint()
    out.plain(f"{found.document.name}: {', '.join(counts)}; fingerprint {fingerprint}.")


@config.command()
@reported_failures()
def show(
    file: File = None,
    form: Annotated[Literal["yaml", "json"], typer.Option("--format", "-f", help="How to print it.")] = "yaml",
) -> None:
    """Print what holds: each section and setting, and where it comes from. Secrets are left out.

    Example: `firstcall config show`, or `firstcall config show --format json | jq .from`
    """
    from schemas.config.changes import hidden_settings, masked, plain_monitors

    found = _read(file)
    values, origins = _settings() if file is None else (masked(hidden_settings(found.settings)), {})
    data = {"settings": values, **found.sections(), "monitors": masked(plain_monitors(found.monitors))}
    of_sections = {name: found.origin(name) for name in data if name != "settings"}
    if form == "json":
        text = json.dumps({**data, "from": {**of_sections, "settings": origins}}, indent=2, ensure_ascii=False)
        sys.stdout.write(f"{text}\n")
        return
    for name, section in data.items():
        written = yaml.safe_dump({name: section}, sort_keys=False, allow_unicode=True, width=120)
        if name == "settings":
            first, *lines = written.splitlines()
            sys.stdout.write("\n".join([first, *(_with_origin(line, origins) for line in lines)]) + "\n\n")
        else:
            sys.stdout.write(f"# {of_sections[name]}\n{written}\n")


@config.command()
@reported_failures()
def diff(
    other: Annotated[
        Path | None, typer.Argument(help="The file to compare with: what would change if it held.")
    ] = None,
    against_running: Annotated[
        bool, typer.Option("--against-running", help="Compare with what the numbers in ClickHouse were made under.")
    ] = False,
) -> None:
    """Show what differs, and what it takes: a rebuild, or a restart. Exits with 1 if anything differs.

    Example: `firstcall config diff new.yaml`, or after a change: `firstcall config diff --against-running`
    """
    if (other is None) == (not against_running):
        fail("give a file to compare with, or --against-running", 2)
    found = _against_running() if other is None else _between(_read(None), _read(other))
    if not found:
        out.print("No difference.")
        return
    from schemas.config.changes import EFFECTS

    for effect, title in EFFECTS.items():
        those = [change for change in found if change.effect == effect]
        if those:
            out.print(f"{title}:", style="bold", highlight=False)
        for change in those:
            out.plain(f"  {change}")
    raise typer.Exit(1)


def _between(now: Configuration, then: Configuration) -> list[Change]:
    """What would change from one configuration to another."""
    from schemas.config.changes import changes, hidden_settings, plain_monitors

    return [
        *changes(now.definitions.model_dump(mode="json"), then.definitions.model_dump(mode="json")),
        *changes(plain_monitors(now.monitors), plain_monitors(then.monitors), ("monitors",)),
        *changes(hidden_settings(now.settings), hidden_settings(then.settings), ("settings",)),
    ]


def _against_running() -> list[Change]:
    """What would change from what is served to the configured definitions. Ends the command where that is not known."""
    from deploy.rebuild import generations
    from deploy.services.required import reachable_clickhouse
    from schemas.config.changes import changes
    from sinks.definition_rows import plain_sections

    settings = settings_or_exit()
    configured = plain_sections(_read(settings.config).definitions)
    with reachable_clickhouse(settings, err) as reached:
        record = generations.live_record(reached)
    if record is None:
        fail("ClickHouse holds no definitions of its numbers yet: the sink writes them when it starts")
    return list(changes(record.sections, {name: configured[name] for name in record.sections if name in configured}))


def _read(file: Path | None) -> Configuration:
    """A file's configuration, or that of the settings. Raises ConfigurationError with everything that is wrong."""
    from schemas.config.file import read_configuration
    from schemas.config.sources import named_file

    return read_configuration(file or named_file())


def _settings() -> tuple[dict[str, Any], dict[str, str]]:
    """All settings as they may be shown, and where each comes from."""
    from schemas.config.changes import masked
    from schemas.config.loading import origins

    settings = settings_or_exit()
    values = masked(settings.model_dump(exclude_none=True))
    if settings.clickhouse is not None:
        values["clickhouse"] = settings.clickhouse_shown
    values["kafka_options"] = masked(settings.kafka_options.model_dump(exclude_none=True))
    return values, {name: origin for name, origin in origins(settings).items() if name in values}


def _with_origin(line: str, origins: dict[str, str]) -> str:
    name = line.strip().partition(":")[0]
    is_setting = line.startswith("  ") and not line.startswith("   ") and name in origins
    return f"{line}  # {origins[name]}" if is_setting else line


def _counted(section: str, number: int) -> str:
    name = section.replace("_", " ")
    singular = {"activations": "activation", "churn risks": "churn risk"}.get(name, name.removesuffix("s"))
    return f"{number} {singular if number == 1 else name}"
