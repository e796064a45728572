"""The result of an audit, for a person and for a program."""

from __future__ import annotations

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.audit.comparison import USAGE, Difference
from deploy.audit.run import Audit

_EXPLAINED = "A later copy of an event would explain what is unproven; no row of it is left to prove it."
_UNSETTLED = "Of the unproven usage by day, events were written since the sink last counted, which it does every few seconds: run it again in a minute."
_MOVING = (
    "Rows came in while the audit ran, so differences may only mean that the sink, or the streams, are behind."
    " Run it again when `firstcall doctor` shows no lag."
)
_BEHIND = (
    "If the sink or the streams are behind, that is why: run it again when `firstcall doctor` shows no lag. Have the definitions"
    " changed since the streams started, the numbers follow the old ones."
)


def show(console: Console, audit: Audit) -> None:
    """Print one line for each published thing, then the first differences of each."""
    console.print(_table(audit))
    for finding in audit.findings:
        if finding.differences:
            console.print(_examples(finding.published, finding.differences, finding.wrong))
    unproven = [finding for finding in audit.findings if finding.unproven]
    for finding in unproven:
        if finding.unproven_examples:
            console.print(_examples(f"{finding.published}, unproven", finding.unproven_examples[:1], finding.unproven))
    console.print(_verdict(audit), soft_wrap=True)
    for note in _notes(audit):
        console.print(note, style="dim", markup=False, highlight=False, soft_wrap=True)


def as_json(audit: Audit) -> bytes:
    """The same as one JSON object."""
    findings = [
        {
            "published": finding.published,
            "compared": finding.compared,
            "agree": finding.agree,
            "differ": finding.differ,
            "missing": finding.missing,
            "surplus": finding.surplus,
            "unproven": finding.unproven,
            "differences": [each._asdict() for each in finding.differences],
            "unproven_examples": [each._asdict() for each in finding.unproven_examples],
        }
        for finding in audit.findings
    ]
    found = {
        "agrees": audit.wrong == 0,
        "differences": audit.wrong,
        "events": audit.events,
        "seconds": round(audit.seconds, 1),
        "is_moving": audit.is_moving,
        "findings": findings,
    }
    return orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _table(audit: Audit) -> Table:
    table = Table(header_style="bold", title_justify="left")
    table.add_column("published")
    for name in ("compared", "agree", "differ", "missing", "surplus", "unproven"):
        table.add_column(name, justify="right")
    for finding in audit.findings:
        name, _, attribute = finding.published.partition(": ")
        mark = Text("✗ ", "red") if finding.wrong else Text("✓ ", "green")
        table.add_row(
            Text.assemble(mark, f"  {attribute}" if attribute else name),
            f"{finding.compared:,}",
            f"{finding.agree:,}",
            *(_count(number, "red") for number in (finding.differ, finding.missing, finding.surplus)),
            _count(finding.unproven, "yellow"),
        )
    return table


def _count(number: int, style: str) -> Text:
    return Text(f"{number:,}", style) if number else Text("–", "dim")


def _examples(title: str, differences: list[Difference], total: int) -> Table:
    shown = f"{title}: {'the first ' if total > len(differences) else ''}{len(differences):,} of {total:,}"
    table = Table(title=shown, title_justify="left", title_style="bold", header_style="bold")
    for name in ("id", "expected from the events", "published"):
        table.add_column(name, overflow="fold")
    for each in differences:
        table.add_row(Text(each.id), _side(each.expected), _side(each.found))
    return table


def _side(text: str) -> Text:
    return Text(text) if text else Text("nothing", "dim")


def _verdict(audit: Audit) -> Text:
    of = f"{audit.events:,} events, {audit.seconds:,.0f} s"
    if not audit.wrong:
        return Text(f"Everything published agrees with the events: {of}.", "green")
    noun = "difference" if audit.wrong == 1 else "differences"
    return Text(f"{audit.wrong:,} {noun} between what is published and the events: {of}.", "red")


def _notes(audit: Audit) -> list[str]:
    notes = []
    unproven = {finding.published for finding in audit.findings if finding.unproven}
    if unproven - {USAGE}:
        notes.append(_EXPLAINED)
    if USAGE in unproven:
        notes.append(_UNSETTLED)
    if audit.is_moving:
        notes.append(_MOVING)
    elif audit.wrong:
        notes.append(_BEHIND)
    return notes
