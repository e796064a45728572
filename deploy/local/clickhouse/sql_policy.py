"""Refuses statements that would read or write outside the data directory.

The engine refuses most of them itself: its user has no grant on files, URLs, or other servers. This policy covers the rest:
features of ClickHouse's clients, which chDB runs in this process, and features that need no grant.
It reads statements only. Features that evaluate SQL from a string later are refused, as the string can hide anything.
`deploy.local.clickhouse.sandbox` confines what this policy cannot see.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from deploy.local.clickhouse.statement import Token

_FUNCTIONS: Final = frozenset({"FILE", "PYTHON", "EXECUTABLE", "SQLITE", "EVAL"})
_ENGINES: Final = {
    "EXECUTABLE": "Executable",
    "EXECUTABLEPOOL": "ExecutablePool",
    "EMBEDDEDROCKSDB": "EmbeddedRocksDB",
    "PYTHON": "Python",
    "SQLITE": "SQLite",
    "DATALAKECATALOG": "DataLakeCatalog",
    "MATERIALIZEDPOSTGRESQL": "MaterializedPostgreSQL",
    "QUERYRUNNER": "QueryRunner",
}
#: Settings that name a file or a URL, that hold SQL, or that switch to another query language.
_SETTINGS: Final = frozenset(
    {
        *("FORMAT_SCHEMA", "FORMAT_SCHEMA_SOURCE", "OUTPUT_FORMAT_SCHEMA", "FORMAT_TEMPLATE_ROW"),
        *("FORMAT_TEMPLATE_RESULTSET", "INPUT_FORMAT_RECORD_ERRORS_FILE_PATH", "RENAME_FILES_AFTER_PROCESSING"),
        *("URL_BASE", "S3_BASE", "FORMAT_AVRO_SCHEMA_REGISTRY_URL", "ALLOW_EXPERIMENTAL_AI_FUNCTIONS"),
        *("ADDITIONAL_TABLE_FILTERS", "ADDITIONAL_RESULT_FILTER", "PARALLEL_REPLICAS_CUSTOM_KEY"),
        *("SCHEMA_INFERENCE_HINTS", "ALLOW_EXPERIMENTAL_EVAL_TABLE_FUNCTION", "DIALECT", "POLYGLOT_DIALECT"),
    }
)
#: Words that a dictionary may not have behind SOURCE: they name another server, SQL in a string, or a file.
_OUTSIDE_OF_SOURCES: Final = frozenset(
    {
        *("HOST", "PORT", "SECURE", "QUERY", "WHERE", "INVALIDATE_QUERY", "UPDATE_FIELD"),
        *("SSD_CACHE", "COMPLEX_KEY_SSD_CACHE"),
    }
)
#: Functions that take the name of a function.
_HIGHER_ORDER: Final = re.compile(r"(ARRAY|MAP)\w+|APPLY")
#: An escape in a quoted name, other than of its quote: the written name is not the real one.
_DISGUISED: Final = re.compile(r"\\[^`\"\\]")


def reaches_outside(tokens: Sequence[Token], parameters: Iterable[str] = ()) -> str | None:
    """The reason to refuse a statement with the values of its parameters; None if it stays in the data directory."""
    words = [token.text.removeprefix("`") for token in tokens]
    makes_dictionary = "DICTIONARY" in words and not {"CREATE", "ATTACH", "REPLACE"}.isdisjoint(words)
    names = {*words, *(value.upper() for value in parameters if "IDENTIFIER" in words)}
    if "FILE" in names and any(_HIGHER_ORDER.fullmatch(word) for word in words):
        return "file() reaches out of the data directory; a column of that name needs another one here"
    for at, word in enumerate(words):
        first, second = [*words[at + 1 : at + 3], "", ""][:2]
        if tokens[at].kind == "name" and _DISGUISED.search(word):
            return "names have no such escapes here"
        if tokens[at].kind == "word" and word in {"INFILE", "OUTFILE"} and _is_string(tokens, at + 1):
            return f"{word} reads and writes files"
        if word in _FUNCTIONS and first == "(":
            return f"{word.lower()}() reaches out of the data directory"
        if word in _SETTINGS and first == "=":
            return f"the setting {word.lower()} is not supported here"
        if word == "INPUT" and first == "(" and words[0] == "INSERT":
            return "input() has no data here; insert into a table and select from that"
        if word == "FROM" and "ATTACH" in words and _is_string(tokens, at + 1):
            return "ATTACH moves a folder from wherever it is; attach what is in the data directory by its name"
        if (word, first, second) == ("DISK", "=", "DISK"):
            return "disk() names another place for data"
        reason = None
        if word == "ENGINE":
            reason = _engine_outside(second if first == "=" else first)
        elif word == "SOURCE" and first == "(" and makes_dictionary:
            reason = _source_outside(second, words[at:])
        if reason is not None:
            return reason
    return None


def setting_reaches_outside(name: str) -> bool:
    return name.upper() in _SETTINGS


def _engine_outside(engine: str) -> str | None:
    if engine in _ENGINES:
        return f"the engine {_ENGINES[engine]} reaches out of the data directory"
    return "replicated tables need a cluster" if engine.startswith(("REPLICATED", "SHARED")) else None


def _source_outside(source: str, words: Sequence[str]) -> str | None:
    if source in {"CLICKHOUSE", "NULL"} and _OUTSIDE_OF_SOURCES.isdisjoint(words):
        return None
    return "a dictionary can be filled from a table of this server only: SOURCE(CLICKHOUSE(DB ... TABLE ...)), and is kept in memory"


def _is_string(tokens: Sequence[Token], at: int) -> bool:
    return at < len(tokens) and tokens[at].kind == "string"
