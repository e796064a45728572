"""Inserts rows into ClickHouse, and finds the rows that it refuses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from clickhouse_connect.driver import Client

from sinks.clickhouse import Address, StatementError, connect, named_errors

#: Errors of the rows themselves, by ClickHouse's names (`ErrorCodes.cpp`): a retry is useless. Any other error may pass.
#: One name too many drops good rows as refused; one too few makes the sink retry a batch for ever.
#: Compare it with the new list when the version in `deploy/compose.yaml` changes.
ROW_FAULT: Final = re.compile(
    r"CANNOT_PARSE_\w+|CANNOT_READ_(ALL_DATA|ARRAY_FROM_TEXT|MAP_FROM_TEXT)|CANNOT_CONVERT_TYPE|CANNOT_INSERT_NULL_\w+"
    r"|DECIMAL_OVERFLOW|INCORRECT_DATA|SIZES_OF_ARRAYS_DONT_MATCH|TOO_DEEP_RECURSION|TOO_LARGE_(ARRAY|STRING)_SIZE"
    r"|TYPE_MISMATCH|UNEXPECTED_(DATA_AFTER_PARSED_VALUE|END_OF_FILE)|VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE"
    r"|VIOLATED_CONSTRAINT"
)

_SETTINGS: Final = {
    # A batch has a good size already, and the answer must mean that its rows are written.
    "async_insert": 0,
    # Rows hold times in the one form that is parsed fastest.
    "date_time_input_format": "basic",
    # A worker that is newer than the tables may publish a column that they lack.
    "input_format_skip_unknown_fields": 1,
    # A table has a partition for each year, and a batch may hold all years from 2000 on.
    "max_partitions_per_insert_block": 0,
}


class RefusedRow(NamedTuple):
    """The number of a row in its batch, from 0, and the error."""

    number: int
    detail: str


class RowInserter:
    """Inserts NDJSON rows. Connects at the first write; usable after any error."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._client: Client | None = None

    def write(self, table: str, rows: Sequence[bytes]) -> list[RefusedRow]:
        """Write rows, each a JSON object of columns, and return those that ClickHouse can never accept.

        All others are written when it returns. Writing a row twice changes nothing: the tables keep one row of each key.
        Raises ClickHouseError, after which any part of the rows may be written.
        """
        refused: list[RefusedRow] = []
        if rows:
            self._write(table, rows, 0, refused)
        return refused

    def _write(self, table: str, rows: Sequence[bytes], first: int, refused: list[RefusedRow]) -> None:
        """Write rows, or else each half of them: a refused row among n costs about 2 log2(n) inserts."""
        try:
            self._insert(table, b"\n".join(rows))
        except StatementError as error:
            if not ROW_FAULT.fullmatch(error.name):
                raise
            if len(rows) == 1:
                refused.append(RefusedRow(first, error.reason))
                return
            middle = len(rows) // 2
            self._write(table, rows[:middle], first, refused)
            self._write(table, rows[middle:], first + middle, refused)

    def _insert(self, table: str, block: bytes) -> None:
        if self._client is None:
            self._client = connect(self.address)
        with named_errors(self.address):
            self._client.raw_insert(table, insert_block=block, fmt="JSONEachRow", settings=_SETTINGS)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
