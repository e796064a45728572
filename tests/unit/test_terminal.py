"""What anyone may have sent is only shown: a terminal does not act on it, and it is no markup."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.text import Text

from deploy.queries.answers import show
from deploy.queries.catalog import Answer
from deploy.stack.terminal import Terminal
from schemas.sql.named_queries import Chart

#: Names the window, hides what follows, clears the screen, returns to the start of the line, rings, turns the line around.
HOSTILE = ["\x1b]0;owned\x07", "\x1b[8mhidden", "\x1b[2J", "fine\rgone", "\x9b31m", "a\u202eb"]


@pytest.fixture
def terminal() -> Terminal:
    return Terminal(file=io.StringIO(), force_terminal=True, width=100, color_system="truecolor")


def printed(terminal: Terminal) -> str:
    assert isinstance(terminal.file, io.StringIO)
    return terminal.file.getvalue()


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("chart", [None, Chart(kind="bar", label="name", numbers=("count",))])
def test_a_terminal_does_not_act_on_what_rows_hold(text: str, chart: Any, terminal: Terminal) -> None:
    show(terminal, Answer(("name", "count"), ((text, 3),)), chart=chart)
    assert text not in printed(terminal)
    # Firstcall's own styles are all that is left.
    left = re.sub(r"\x1b\[[0-9;]*m", "", printed(terminal)).replace("\n", "")
    assert [character for character in left if not character.isprintable()] == []


@pytest.mark.parametrize("text", ["[red]alarm[/red]", "[/nothing]", "[link=http://x]here[/link]"])
@pytest.mark.parametrize("chart", [None, Chart(kind="bar", label="name", numbers=("count",))])
def test_a_text_is_no_markup(text: str, chart: Any, terminal: Terminal) -> None:
    show(terminal, Answer(("name", "count"), ((text, 3),)), chart=chart)
    assert text in printed(terminal)


def test_what_firstcall_itself_styles_stays_styled(terminal: Terminal) -> None:
    terminal.print(Text("red", "red"))
    terminal.print("[bold]heavy[/] äöü …")
    assert "\x1b[31mred\x1b[0m" in printed(terminal)
    assert "äöü …" in printed(terminal)
