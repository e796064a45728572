"""The command `query`: what there is to ask, and the answers, for people and for programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from deploy.cli.terminal import definitions_or_exit, err, fail, out, reported_failures, settings_or_exit

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from deploy.queries.catalog import Query

Form = Literal["table", "csv", "json", "chart"]

#: Longer defaults of parameters are left out.
SHOWN_DEFAULT = 20
#: Parameters that are moments, whichever query has them.
MOMENTS = ("from", "to", "at")

WHEN = "2026-01-31, 2026-01-31T10:00:00Z, or 7d (24h, 4w) before the latest event."


def query(
    name: Annotated[str | None, typer.Argument(help="Which named query; without it, they are listed.")] = None,
    company: Annotated[str | None, typer.Option(help="Of one company, by its id.")] = None,
    since: Annotated[str | None, typer.Option("--from", help=f"From this time on: {WHEN}")] = None,
    until: Annotated[str | None, typer.Option("--to", help=f"Up to this time: {WHEN}")] = None,
    at: Annotated[str | None, typer.Option(help=f"As of this time: {WHEN}")] = None,
    param: Annotated[list[str] | None, typer.Option("--param", "-p", help="A parameter, as `level=company`.")] = None,
    sql: Annotated[str | None, typer.Option(help="SQL of your own instead; `-` reads it from standard input.")] = None,
    form: Annotated[
        Form | None,
        typer.Option("--format", "-f", help="table, or in a terminal a chart over time; json is an object a line."),
    ] = None,
    about: Annotated[
        bool, typer.Option("--about", help="Say what the query tells and takes, and run nothing.")
    ] = False,
    show_sql: Annotated[bool, typer.Option("--show", help="Print the SQL instead of running it.")] = False,
) -> None:
    """Ask ClickHouse: one of the named queries, which are listed without arguments, or SQL of your own.

    Example: `firstcall query funnel -p level=company`, `firstcall query usage --company acme --from 4w --format chart`, or
    `firstcall query --sql "SELECT count() FROM events" -f csv`
    """
    from deploy.queries import catalog

    settings = settings_or_exit()
    options = {"company": company, "from": since, "to": until, "at": at}
    given = {option: value for option, value in options.items() if value is not None}
    if name is None:
        if sql is None:
            _list_queries()
            return
        if given:
            fail(f"--{next(iter(given))} is for named queries; give your own SQL parameters with -p", 2)
        text = sys.stdin.read() if sql == "-" else sql
        _run(text, dict(_parameter(each) for each in param or ()), form or "table")
        return
    if sql is not None:
        fail("give a named query or --sql, not both", 2)
    found = catalog.find_query(name)
    if isinstance(found, catalog.Unknown):
        fail(found.message, 2)
    if about or show_sql:
        _describe(found) if about else sys.stdout.write(found.sql)
        return
    _refuse_options(found, given)
    # The views go by what the tables were made under; a configuration that is wrong is told wherever it is met.
    definitions_or_exit(settings)
    values = catalog.bind(found, given | dict(_parameter(each) for each in param or ()))
    wrong = values if isinstance(values, catalog.Unknown) else catalog.missing(found, values)
    if isinstance(values, catalog.Unknown) or wrong is not None:
        assert isinstance(wrong, catalog.Unknown)
        fail(wrong.message, 2)
    if form == "chart" and found.chart is None:
        fail(f"query {name} names nothing to draw; give --format table, csv or json", 2)
    if form is None:
        form = "chart" if found.chart is not None and found.chart.kind == "line" and out.is_terminal else "table"
    _run(found.sql, values, form, found)


def _refuse_options(found: Query, given: Mapping[str, str]) -> None:
    """End the command if the query does not take an option that was given."""
    known = [parameter.name for parameter in found.parameters]
    for option in given:
        if option not in known:
            takes = ", ".join(f"--{each}" if each in (*MOMENTS, "company") else f"-p {each}=" for each in known)
            fail(f"query {found.name} takes no --{option}; it takes {takes or 'nothing'}", 2)


def _run(sql: str, values: Mapping[str, str], form: Form, query: Query | None = None) -> None:
    """Run the SQL, of a named query or not, and show the answer. Whatever is said beside it goes to standard error."""
    from deploy.queries import answers, catalog
    from deploy.queries.charts import Chart
    from deploy.queries.known_names import unknown_name
    from deploy.services.required import reachable_clickhouse
    from sinks.clickhouse import Address, connected

    with reported_failures(), reachable_clickhouse(settings_or_exit(), err) as reached:
        address = Address.parse(reached.clickhouse_address)
        with connected(address) as client:
            unknown = unknown_name(client, query, values) if query is not None else None
            if unknown is not None:
                fail(unknown.message, 2)
            values = _with_moments(client, values)
            if form == "csv" or form == "json":  # noqa: PLR1714 - narrows the type
                text = catalog.ask_text(client, sql, values, form)
                sys.stdout.buffer.write(text)
                if text.count(b"\n") <= (form == "csv"):
                    err.print("No rows")
                return
            answer = catalog.ask(client, sql, values)
    chart = None
    if form == "chart":
        chart = (query.chart if query is not None else None) or Chart.of_any(answer.columns, answer.rows)
        if chart is None and answer.rows:
            fail("there is no number to draw beside the first column", 2)
    answers.show(out, answer, chart=chart)


def _with_moments(client: Client, values: Mapping[str, str]) -> dict[str, str]:
    """The values, those that are moments as the queries take them, or the end of the command."""
    from deploy.queries.moments import NoMoment, is_relative, moment

    written = {name: values[name] for name in MOMENTS if values.get(name)}
    latest = datetime.now(UTC)
    if any(is_relative(text) for text in written.values()):
        ((told,),) = client.query("SELECT max(last_active) FROM developers").result_rows
        latest = told.replace(tzinfo=UTC) if told is not None else latest
    found = {}
    for name, text in written.items():
        when = moment(text, latest)
        if isinstance(when, NoMoment):
            fail(f"{name}: {when.message}", 2)
        found[name] = when
    return {**values, **found}


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        fail(f"--param {text}: give it as name=value", 2)
    return name.strip(), value


def _describe(found: Query) -> None:
    """What a query tells and takes."""
    out.print(found.title, markup=False, highlight=False, soft_wrap=True)
    for parameter in found.parameters:
        default = parameter.default if len(parameter.default) <= SHOWN_DEFAULT else "…"
        shown = f"--{parameter.name} {default}" if parameter.name in (*MOMENTS, "company") else ""
        line = f"  {shown.strip() or f'-p {parameter.name}={default}'}  {parameter.meaning}"
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    if found.needs:
        out.print(f"  Give {'either ' if found.needs_one else ''}{' or '.join(found.needs)}.", highlight=False)
    out.print("  Each row tells:", highlight=False)
    width = max(map(len, found.columns))
    for column, meaning in found.columns.items():
        out.print(f"    {column:{width}}  {meaning}", markup=False, highlight=False, soft_wrap=True)
    if found.chart is not None:
        out.print(f"  --format chart draws {', '.join(found.chart.numbers)} by {found.chart.label}.", highlight=False)


def _list_queries() -> None:
    from deploy.queries.catalog import OTHER_TOPIC, named_queries

    queries = named_queries()
    width = max(len(name) for name in queries)
    topics = sorted({each.topic for each in queries.values()}, key=lambda topic: (topic == OTHER_TOPIC, topic))
    for topic in topics:
        out.print(f"[bold]{topic}[/]", highlight=False)
        for each in queries.values():
            if each.topic == topic:
                line = f"  {each.name:{width}}  {_first_sentence(each.title)}"
                out.print(line, markup=False, highlight=False, soft_wrap=True)
    out.print(
        "\nRun one: firstcall query funnel -p level=company. What it takes: firstcall query funnel --about. Its SQL: --show",
        highlight=False,
        soft_wrap=True,
    )


def _first_sentence(title: str) -> str:
    ends = [end for end in (title.find(": "), title.find(". ")) if end > 0]
    return title[: min(ends)] if ends else title.rstrip(".")
