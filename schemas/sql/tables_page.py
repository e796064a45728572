"""Writes TABLES.md from the SQL: `python -m schemas.sql.tables_page`.

The page has every table, view and query with grain, key and columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final, NamedTuple

from schemas.sql.named_queries import Query, query_names, read_query

PAGE: Final = Path(__file__).parents[1] / "TABLES.md"

_FILE: Final = re.compile(r"(\d{3})_(\w+)\.sql")
_CREATE: Final = re.compile(r"^CREATE (?:OR REPLACE VIEW|TABLE IF NOT EXISTS) (\w+)", re.MULTILINE)
_COLUMN: Final = re.compile(r"^    (\w+) (\S.*?)\s+COMMENT '((?:[^']|'')*)',?$", re.DOTALL)
#: Between the type of a column and its comment, and without meaning for a reader.
_BESIDE_TYPE: Final = re.compile(r"\s+(?:CODEC|DEFAULT|MATERIALIZED)\b.*", re.DOTALL)
_OF_OBJECT: Final = re.compile(r"^COMMENT '((?:[^']|'')*)'", re.MULTILINE)
_HEAD: Final = """# Tables, views and queries

Generated from the SQL beside it by `make docs`: do not edit. Read the views; the tables (`*_rows`) under them hold outdated states too.
An hour and a day are UTC; an identifier that is not known is an empty text; a share is of 1, a percent of 100.
"""


class Documented(NamedTuple):
    """A table or view. `columns`: each as (name, type, meaning)."""

    name: str
    is_view: bool
    title: str
    header: str
    columns: list[tuple[str, str, str]]


def page() -> str:
    """The whole page."""
    sql = files("schemas").joinpath("sql")
    objects = [
        documented(file.read_text("utf-8"))
        for file in sorted(sql.joinpath("migrations").iterdir(), key=lambda file: file.name)
        if _FILE.fullmatch(file.name)
    ]
    views = [each for each in objects if each.is_view]
    tables = [each for each in objects if not each.is_view]
    parts = [
        _HEAD,
        "## Views\n",
        *(f"- [`{each.name}`](#{each.name}): {_sentence(each)}" for each in views),
        "",
        *(_section(each) for each in views),
        "## Named queries\n",
        "`firstcall query NAME`; `--company`, `--from`, `--to`, `--at` and `-p name=value` give the parameters.\n",
        *(_query(read_query(name)) for name in query_names()),
        "## Tables\n",
        *(_section(each) for each in tables),
    ]
    return "\n".join(parts).rstrip() + "\n"


def documented(sql: str) -> Documented:
    """The table or view of a migration. A view with parameters declares no columns; its header describes them."""
    created = _CREATE.search(sql)
    assert created is not None, sql[:200]
    header = [line.removeprefix("--")[1:] for line in sql[: created.start()].splitlines() if line.startswith("--")]
    title = _OF_OBJECT.search(sql)
    body = sql[created.end() :].partition("\nAS")[0].partition("\nENGINE")[0]
    return Documented(
        created[1], "VIEW" in created[0], _plain(title[1]) if title else "", "\n".join(header), list(_columns(body))
    )


def _columns(body: str) -> Iterator[tuple[str, str, str]]:
    entry: list[str] = []
    for line in body.splitlines():
        if re.match(r"    \w", line):
            entry = [line]
        elif entry:
            entry.append(line)
        column = _COLUMN.match("\n".join(entry)) if entry else None
        if column is not None:
            yield column[1], _BESIDE_TYPE.sub("", column[2]), _plain(column[3])
            entry = []


def _plain(text: str) -> str:
    return text.replace("''", "'").replace("\\'", "'")


def _sentence(each: Documented) -> str:
    return each.title or _parts(each.header).get("Grain", "").partition(":")[0]


def _parts(header: str) -> dict[str, str]:
    """The paragraphs of a header by the word that they begin with: Grain, Key, Engine, ..."""
    parts: dict[str, str] = {}
    name = ""
    for line in header.splitlines():
        begun = re.match(r"([A-Z]\w+): (.*)", line)
        if begun:
            name = begun[1]
            parts[name] = begun[2]
        elif line.lstrip().startswith("* "):
            parts[name] = f"{parts.get(name, '')}\n{line.strip()}"
        else:
            parts[name] = f"{parts.get(name, '')} {line.strip()}".strip()
    return parts


def _section(each: Documented) -> str:
    lines = [f"### {each.name}\n"]
    if each.title:
        lines.append(f"{each.title}.\n")
    for name, text in _parts(each.header).items():
        lines.append(f"**{name}**: {text}\n" if name else f"{text}\n")
    if each.columns:
        lines += ["| column | type | meaning |", "|---|---|---|"]
        lines += [f"| `{name}` | `{_cell(kind)}` | {_cell(meaning)} |" for name, kind, meaning in each.columns]
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _query(query: Query) -> str:
    lines = [f"### firstcall query {query.name}\n", f"{query.text}\n"]
    if query.parameters:
        lines += ["| parameter | default | meaning |", "|---|---|---|"]
        for name, parameter in query.parameters.items():
            default = f"`{_cell(parameter.default)}`" if parameter.default else ""
            lines.append(f"| `{name}` | {default} | {_cell(parameter.description)} |")
        lines.append("")
    lines += ["| column | meaning |", "|---|---|"]
    lines += [f"| `{column}` | {_cell(meaning)} |" for column, meaning in query.columns.items()]
    return "\n".join([*lines, ""])


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
