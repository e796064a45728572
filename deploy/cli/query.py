"""The command `query`: named queries and own SQL, with answers for people and for programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from deploy.cli.terminal import definitions_of, err, fail, out, settings_or_exit

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from schemas.sql.named_queries import Query

Form = Literal["table", "csv", "json", "chart"]

#: Longer defaults of parameters are left out.
SHOWN_DEFAULT = 20
#: Parameters that are times in own SQL.
TIMES = ("from", "to", "at")
#: Parameters that the command has an option for.
OPTIONS = ("company", *TIMES)

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
        bool, typer.Option("--about", help="Describe the query and its parameters, and run nothing.")
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
    if about or show_sql:
        _describe(found) if about else sys.stdout.write(found.sql)
        return
    _refuse_options(found, given)
    # The views use the definitions that the tables were made under; a wrong configuration is reported all the same.
    definitions_of(settings)
    values = catalog.bind(found, given | dict(_parameter(each) for each in param or ()))
    catalog.check_needs(found, values)
    if form == "chart" and found.chart is None:
        fail(f"query {name} names nothing to draw; give --format table, csv or json", 2)
    if form is None:
        form = "chart" if found.chart is not None and found.chart.kind == "line" and out.is_terminal else "table"
    _run(found.sql, values, form, found)


def _refuse_options(found: Query, given: Mapping[str, str]) -> None:
    """End the command if the query does not take an option that was given."""
    known = found.parameters
    for option in given:
        if option not in known:
            takes = ", ".join(f"--{each}" if each in OPTIONS else f"-p {each}=" for each in known)
            fail(f"query {found.name} takes no --{option}; it takes {takes or 'nothing'}", 2)


def _run(sql: str, values: Mapping[str, str], form: Form, query: Query | None = None) -> None:
    """Run the SQL, of a named query or not, and show the answer. Remarks go to standard error."""
    from deploy.queries import answers, catalog
    from deploy.queries.answers import default_chart
    from deploy.queries.known_names import check_names
    from deploy.services.required import reachable_clickhouse
    from sinks.clickhouse import Address, connected

    with reachable_clickhouse(settings_or_exit(), err) as reached:
        address = Address.parse(reached.clickhouse_address)
        with connected(address) as client:
            if query is not None:
                check_names(client, query, values)
            values = _with_times(client, values, query)
            if form == "csv" or form == "json":  # noqa: PLR1714 - narrows the type
                text = catalog.ask_text(client, sql, values, form)
                sys.stdout.buffer.write(text)
                if text.count(b"\n") <= (form == "csv"):
                    err.print("No rows")
                return
            answer = catalog.ask(client, sql, values)
    chart = None
    if form == "chart":
        chart = (query.chart if query is not None else None) or default_chart(answer.columns, answer.rows)
        if chart is None and answer.rows:
            fail("there is no number to draw beside the first column", 2)
    answers.show(out, answer, chart=chart)


def _with_times(client: Client, values: Mapping[str, str], query: Query | None) -> dict[str, str]:
    """The values with times in the form that ClickHouse parses. Ends the command for a text that is no time."""
    from deploy.queries.moments import is_relative, moment

    times = TIMES if query is None else [name for name, each in query.parameters.items() if each.type == "Time"]
    written = {name: values[name] for name in times if values.get(name)}
    latest = datetime.now(UTC)
    if any(is_relative(text) for text in written.values()):
        ((last_active,),) = client.query("SELECT max(last_active) FROM developers").result_rows
        latest = last_active.replace(tzinfo=UTC) if last_active is not None else latest
    found = {}
    for name, text in written.items():
        try:
            found[name] = moment(text, latest)
        except ValueError as error:
            fail(f"{name}: {error}", 2)
    return {**values, **found}


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        fail(f"--param {text}: give it as name=value", 2)
    return name.strip(), value


def _describe(found: Query) -> None:
    """Print the title of a query, its parameters, and the columns of its answer."""
    out.plain(found.text)
    for name, parameter in found.parameters.items():
        default = parameter.default if len(parameter.default) <= SHOWN_DEFAULT else "…"
        shown = f"--{name} {default}".strip() if name in OPTIONS else f"-p {name}={default}"
        out.plain(f"  {shown}  {parameter.description}")
    if found.needs:
        out.plain(f"  Give {'either ' if found.one_of else ''}{' or '.join(found.needs)}.")
    out.plain("  Each row has:")
    width = max(map(len, found.columns))
    for column, meaning in found.columns.items():
        out.plain(f"    {column:{width}}  {meaning}")
    if found.chart is not None:
        out.plain(f"  --format chart draws {', '.join(found.chart.numbers)} by {found.chart.label}.")


def _list_queries() -> None:
    from schemas.sql.named_queries import query_names, read_query

    queries = [read_query(name) for name in query_names()]
    width = max(len(each.name) for each in queries)
    for topic in sorted({each.topic for each in queries}):
        out.print(f"[bold]{topic}[/]", highlight=False)
        for each in queries:
            if each.topic == topic:
                out.plain(f"  {each.name:{width}}  {each.title}")
    out.plain(
        "\nRun one: firstcall query funnel -p level=company. Its parameters and columns: firstcall query funnel --about."
        " Its SQL: --show"
    )
