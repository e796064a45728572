"""Parses as much of a ClickHouse statement as the HTTP interface needs: its kind, its format, where its data begins.

Texts are bytes, as data may follow a statement directly. Words are compared without regard to case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Kind = Literal["space", "string", "name", "word", "number", "sign"]

#: Statements whose answer is rows.
_SELECTING: Final = frozenset({"SELECT", "WITH", "FROM", "("})
_ANSWERED: Final = _SELECTING | {"SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK", "VALUES", "KILL"}
# As in ClickHouse's own lexer: curly quotes are quotes, and all other non-ASCII characters are at most space.
_TOKEN: Final = re.compile(
    rb"""
      (?P<string> '(?:[^'\\]|\\.|'')*' | \xe2\x80\x98.*?\xe2\x80\x99 | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
    | (?P<name>   `(?:[^`\\]|\\.|``)*` | "(?:[^"\\]|\\.|"")*" | \xe2\x80\x9c.*?\xe2\x80\x9d )
    | (?P<space>  (?: [\s\0] | (?!\xe2\x80[\x98\x9c])[\x80-\xff] | --[^\n]* | \#(?=[ !])[^\n]* | /\*.*?\*/ )+ )
    | (?P<word>   [A-Za-z_$][\w$]* )
    | (?P<number> \d\w* )
    | (?P<sign>   . )
    """,
    re.VERBOSE | re.DOTALL,
)
_KINDS: Final[tuple[Kind, ...]] = ("space", "string", "name", "word", "number", "sign")

#: A quote is a token of its own only if it is not closed.
_OPENED_QUOTES: Final = frozenset({"'", '"', "`", "\xe2"})


class Token(NamedTuple):
    """A token of a statement, from byte `start` to before `end`.

    `text` is a word in capitals, a sign, a quoted name in capitals behind a backtick, or empty.
    """

    kind: Kind
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Insert:
    """An INSERT whose data follows it: `into` up to where the source belongs, then the settings, if any, and the format."""

    into: bytes
    settings: bytes
    format: str
    data_starts: int


@dataclass(frozen=True)
class Statement:
    """Any other statement. `body` is its text without the FORMAT clause; `format` is the format in that clause."""

    body: bytes
    format: str | None
    tokens: tuple[Token, ...]

    @property
    def verb(self) -> str:
        return self.tokens[0].text if self.tokens else ""

    @property
    def is_answered(self) -> bool:
        """Whether the answer is a table, even one without rows."""
        return self.verb in _ANSWERED

    @property
    def is_selection(self) -> bool:
        return self.verb in _SELECTING

    @property
    def is_stateful(self) -> bool:
        """Whether its effect lasts as long as the session: a setting, the database in use, a temporary table."""
        return self.verb in {"SET", "USE"} or {"CREATE", "TEMPORARY"} <= {token.text for token in self.tokens[:4]}


_QUOTES: Final = '`"\xe2\x80\x9c\x9d'


def tokens_of(text: bytes) -> Iterator[Token]:
    """The tokens of a text, without space and comments. A quote that is not closed is a sign."""
    for found in _TOKEN.finditer(text):
        kind = next(kind for kind in _KINDS if found.start(kind) >= 0)
        if kind == "space":
            continue
        written = found[0].decode("latin-1")
        match kind:
            case "word":
                shown = written.upper()
            case "name":
                shown = f"`{written.strip(_QUOTES).upper()}"
            case "sign":
                shown = written
            case _:
                shown = ""
        yield Token(kind, shown, found.start(), found.end())


def is_insert(text: bytes) -> bool:
    first = next(tokens_of(text), None)
    return first is not None and first.text == "INSERT"


def insert_with_data(text: bytes, *, complete: bool) -> Insert | None:
    """The INSERT at the beginning of a text, if data may follow it. None if not, or if a text that is not `complete` may go on."""
    depth = 0
    settings = 0
    last: Token | None = None
    for token in tokens_of(text):
        if not complete and (token.end == len(text) or token.text in _OPENED_QUOTES):
            return None  # it may go on
        depth += (token.text in {"(", "[", "{"}) - (token.text in {")", "]", "}"})
        if depth:
            continue
        if token.text in {"SELECT", "WITH", "INFILE"} or (token.text == "FROM" and last is not None):
            return None
        if token.text == "SETTINGS":
            settings = token.start
        elif token.text == "VALUES":
            before = settings or token.start
            return Insert(text[:before], text[before : token.start], "Values", token.end)
        elif last is not None and last.text == "FORMAT" and token.kind == "word":
            before = settings or last.start
            name = text[token.start : token.end].decode("latin-1")
            if name.upper() == "VALUES":
                name = "Values"
            return Insert(text[:before], text[before : last.start], name, _data_start(text, token.end))
        last = token
    return None


def _data_start(text: bytes, end: int) -> int:
    """Where data begins after the name of a format: behind blanks and one line break, as in ClickHouse."""
    found = re.compile(rb"[ \t\f]*\r?\n?").match(text, end)
    assert found is not None, "it matches nothing, too"
    return found.end()


def read_statement(text: bytes) -> Statement | str:
    """A statement, or the reason that the text is none."""
    tokens = list(tokens_of(text))
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    if any(token.text == ";" for token in tokens):
        return "Multi-statements are not allowed"
    end = tokens[-1].end if tokens else 0
    return _without_format(text[:end], tuple(tokens))


def _without_format(text: bytes, tokens: tuple[Token, ...]) -> Statement:
    """The statement with its FORMAT, which may have SETTINGS behind it, cut out."""
    depth = 0
    for at in range(len(tokens) - 1, 0, -1):
        token, before = tokens[at], tokens[at - 1]
        depth += (token.text in {")", "]", "}"}) - (token.text in {"(", "[", "{"})
        if depth == 0 and before.text == "FORMAT" and token.kind == "word":
            behind = tokens[at + 1 :]
            # `format` may as well be a column with an alias.
            if behind and behind[0].text != "SETTINGS":
                break
            body = text[: before.start] + text[token.end :]
            return Statement(body, text[token.start : token.end].decode("latin-1"), tokens[: at - 1] + behind)
        if token.text in {"SELECT", "FROM", "WHERE"}:
            break
    return Statement(text, None, tokens)
