"""The commands `firstcall dead-letters list | show | replay`."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from deploy.cli.terminal import definitions_of, err, fail, out, reported_failures, settings_or_exit, time_or_exit

if TYPE_CHECKING:
    from deploy.dead_letters.letters import Filter
    from deploy.queries.catalog import Answer
    from schemas.config.settings import Settings

dead_letters = typer.Typer(
    name="dead-letters",
    help="Refused messages: which and why, and sending them again once the fault is mended.\n\n"
    "Example: `firstcall dead-letters list --reason future`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Reason = Annotated[list[str] | None, typer.Option(help="Only of this reason; may be given several times.")]
OfTopic = Annotated[list[str] | None, typer.Option("--topic", help="Only of this topic, with or without the prefix.")]
Id = Annotated[list[str] | None, typer.Option("--id", help="Only of this message: topic/partition/offset.")]
Since = Annotated[str | None, typer.Option(help="Written at this time (RFC 3339, UTC by default) or later.")]
Until = Annotated[str | None, typer.Option(help="Written before this time.")]
Form = Annotated[Literal["table", "json"], typer.Option("--format", "-f", help="json is an object a line.")]

#: What a table of many shows of each.
_SHOWN = ("reason", "field", "detail", "recorded_at", "replayed_at")
_DETAIL_CHARACTERS = 60


@dead_letters.command("list")
@reported_failures()
def list_letters(
    reason: Reason = None,
    topic: OfTopic = None,
    since: Since = None,
    until: Until = None,
    message: Id = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest first.")] = 50,
    replayed: Annotated[bool, typer.Option("--replayed", help="Also those that were replayed.")] = False,
    form: Form = "table",
) -> None:
    """List refused messages, the latest first.

    Example: `firstcall dead-letters list --reason no_identifier --since 2026-05-18`
    """
    from deploy.queries.answers import show
    from deploy.queries.catalog import Answer

    answer = _query(_filter(settings_or_exit(), reason, topic, since, until, message), limit, replayed=replayed)
    if form == "json":
        _as_json(answer)
        return
    at = [answer.columns.index(name) for name in _SHOWN]
    rows = []
    for row in answer.rows:
        cells = [row[i] for i in at]
        cells[2] = cells[2] if len(cells[2]) <= _DETAIL_CHARACTERS else cells[2][: _DETAIL_CHARACTERS - 1] + "…"
        rows.append((f"{row[0]}/{row[1]}/{row[2]}", *cells))
    show(out, Answer(("id", *_SHOWN), tuple(rows)))


@dead_letters.command("show")
@reported_failures()
def show_letters(
    message: Annotated[str, typer.Argument(metavar="ID", help="topic/partition/offset, as `list` prints it.")],
    form: Form = "table",
) -> None:
    """Show one refused message: each refusal, and its start without keys.

    Example: `firstcall dead-letters show web-events/0/1842`
    """
    answer = _query(_filter(settings_or_exit(), None, None, None, None, [message]), 1_000, replayed=True)
    if not answer.rows:
        fail(f"there is no dead letter of {message}", 2)
    if form == "json":
        _as_json(answer)
        return
    for row in answer.rows:
        letter = dict(zip(answer.columns, row, strict=True))
        lines = {"id": message} | {name: letter[name] for name in (*_SHOWN, "payload")}
        for name, value in lines.items():
            out.plain(f"{name.replace('_', ' '):<12} {_cell(value)}")
        out.print()


@dead_letters.command("replay")
@reported_failures()
def replay_letters(
    reason: Reason = None,
    topic: OfTopic = None,
    since: Since = None,
    until: Until = None,
    message: Id = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many messages.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be sent, and what not.")] = False,
) -> None:
    """Send refused messages again as they lie in Kafka, if they are accepted now. Those that are not stay where they are.

    Interrupted, it continues when it is run again: what is sent twice counts once. Exits with 1 if anything is left.

    Example: `firstcall dead-letters replay --reason wrong_time --dry-run`
    """
    from deploy.dead_letters.letters import Letters
    from deploy.dead_letters.originals import Originals
    from deploy.dead_letters.replaying import Replay, report
    from deploy.services.required import reachable_clickhouse, require_broker
    from schemas.config.loading import hmac_secrets
    from sinks.clickhouse import Address
    from sinks.insert import RowInserter
    from streams.normalise.normaliser import Normaliser
    from streams.normalise.suppression_list import SuppressionList
    from streams.runtime.suppression_feed import SuppressionFeed
    from streams.topology import ERASURES

    settings = settings_or_exit()
    definitions, wanted = definitions_of(settings), _filter(settings, reason, topic, since, until, message)
    with ExitStack() as opened:
        require_broker(settings)
        secrets = hmac_secrets(settings)
        suppressed = SuppressionList([*settings.retired, *secrets])
        options = {"bootstrap.servers": settings.brokers, **settings.kafka_options.for_librdkafka()}
        opened.enter_context(closing(feed := SuppressionFeed(suppressed, settings.topic(ERASURES), options)))
        feed.refresh()
        reached = opened.enter_context(reachable_clickhouse(settings, err))
        address = Address.parse(reached.clickhouse_address)
        letters = opened.enter_context(closing(Letters(address)))
        originals = opened.enter_context(closing(Originals(settings)))
        normaliser = Normaliser(definitions, secrets, suppressed)
        writer = opened.enter_context(closing(RowInserter(address)))
        replay = Replay(settings, letters, originals, normaliser, writer, dry_run=dry_run)
        summary = replay.run(letters.refused(wanted, limit))
        for line in report(summary, dry_run=dry_run):
            out.plain(line)
        if summary.left:
            raise typer.Exit(1)


def _query(wanted: Filter, limit: int, *, replayed: bool) -> Answer:
    from deploy.dead_letters.letters import Letters
    from deploy.services.required import reachable_clickhouse
    from sinks.clickhouse import Address

    with ExitStack() as opened:
        reached = opened.enter_context(reachable_clickhouse(settings_or_exit(), err))
        letters = opened.enter_context(closing(Letters(Address.parse(reached.clickhouse_address))))
        return letters.latest(wanted, limit, replayed=replayed)


def _filter(
    settings: Settings,
    reasons: list[str] | None,
    topics: list[str] | None,
    since: str | None,
    until: str | None,
    messages: list[str] | None,
) -> Filter:
    from deploy.dead_letters.letters import Filter, MessageRef
    from streams.topology import TOPICS

    names = {topic.name for topic in TOPICS}
    refs = []
    for given in messages or ():
        try:
            ref = MessageRef.parse(given)
        except ValueError:
            fail(f"--id {given}: give it as topic/partition/offset, as `firstcall dead-letters list` prints it", 2)
        refs.append(ref._replace(topic=settings.topic(ref.topic)) if ref.topic in names else ref)
    times = {
        name: time_or_exit(f"--{name}", given)
        for name, given in (("since", since), ("until", until))
        if given is not None
    }
    full = tuple(settings.topic(topic) if topic in names else topic for topic in topics or ())
    return Filter(tuple(reasons or ()), full, tuple(refs), **times)


def _as_json(answer: Answer) -> None:
    import orjson

    for row in answer.rows:
        sys.stdout.buffer.write(orjson.dumps(dict(zip(answer.columns, row, strict=True))) + b"\n")


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ", "milliseconds")
    return "–" if value in (None, "") else str(value)
