"""The engine's configuration: its limits, the grants of its one user, and all of its folders in the data directory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

QUERY_THREADS: Final = 2
#: The memory limit of all statements together; half of the machine's memory if that is less.
MEMORY_BYTES: Final = 4 * 1024**3
#: The rights of the one user. It has none on anything outside the directory.
GRANTS: Final = (
    (
        "GRANT SELECT, INSERT, ALTER, DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, CHECK, SHOW, KILL QUERY, dictGet, "
        "CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE DICTIONARY, CREATE FUNCTION, DROP FUNCTION, "
        "CREATE TEMPORARY TABLE, CREATE ARBITRARY TEMPORARY TABLE, displaySecretsInShowAndSelect, "
        "SYSTEM RELOAD DICTIONARY, SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM MOVES, SYSTEM VIEWS, SYSTEM DROP CACHE, "
        "SYSTEM FLUSH LOGS ON *.*"
    ),
)


def write_configuration(directory: Path, grants: Sequence[str]) -> Path:
    """Write the configuration into the data directory and return its file."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    memory = min(MEMORY_BYTES, machine // 2)
    folders = ("user_files", "user_scripts", "format_schemas", "dictionaries_lib", "tmp")
    paths = "".join(f"  <{name}_path>{escape(str(directory / name))}/</{name}_path>\n" for name in folders)
    granted = "".join(f"<query>{escape(grant)}</query>" for grant in grants)
    users = directory / "users.xml"
    users.write_text(
        f"""<clickhouse>
  <profiles><default>
    <max_threads>{QUERY_THREADS}</max_threads>
    <max_insert_threads>1</max_insert_threads>
    <max_memory_usage>{memory * 3 // 4}</max_memory_usage>
    <implicit_select>0</implicit_select>
  </default></profiles>
  <users><default>
    <password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
    <grants>{granted}</grants>
  </default></users>
  <quotas><default/></quotas>
</clickhouse>
"""
    )
    configuration = directory / "configuration.xml"
    configuration.write_text(
        f"""<clickhouse>
  <users_config>{escape(str(users))}</users_config>
{paths}  <timezone>UTC</timezone>
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <mark_cache_size>{256 * 1024**2}</mark_cache_size>
  <index_mark_cache_size>{64 * 1024**2}</index_mark_cache_size>
  <primary_index_cache_size>{256 * 1024**2}</primary_index_cache_size>
  <background_pool_size>{QUERY_THREADS}</background_pool_size>
  <background_merges_mutations_concurrency_ratio>2</background_merges_mutations_concurrency_ratio>
  <background_schedule_pool_size>8</background_schedule_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_move_pool_size>1</background_move_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
</clickhouse>
"""
    )
    return configuration
