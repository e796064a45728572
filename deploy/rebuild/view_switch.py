"""Switches the views that dashboards read to the tables of another generation.

`deploy.rebuild.steps.switch_over` decides when: only after the new tables hold all messages. Until then dashboards show the
old numbers. `deploy.stack.stack` calls it too, because a new version may bring other views.
"""

from __future__ import annotations

import re
from typing import Final

from clickhouse_connect.driver import Client

from deploy.rebuild.generations import address_of
from schemas.config.settings import Settings
from sinks.clickhouse import Address, connected
from sinks.migrations import ON_CLUSTER, render

_NAME: Final = r"`?[\w-]+`?"
_HEAD: Final = re.compile(rf"CREATE VIEW {_NAME}\.{_NAME} ")
_VIEWS: Final = "SELECT name, create_table_query FROM system.tables WHERE database = {database:String} AND engine = 'View' ORDER BY name"


def switch_views(settings: Settings, generation: int) -> bool:
    """Make the views that dashboards read show the tables of a generation; False if they do already.

    The new views are created in a database beside the served one. Views without a predecessor move first: nobody reads them
    yet. One statement then exchanges all others, and ClickHouse completes it even without its client. A served view that the
    generation lacks stays. If ClickHouse itself is killed meanwhile, another call repairs the views. Raises ClickHouseError.
    """
    served, new = Address.parse(settings.served_address), address_of(settings, generation)
    if served.database == new.database:
        return False
    prepared = f"{served.database}_views"
    cluster = settings.clickhouse_cluster
    with connected(new, database="default") as client:
        new_views = _views(client, new.database)
        served_views = _views(client, served.database)
        moved = {name: _moved(text, served.database, name) for name, text in new_views.items()}
        changed = [name for name in moved if moved[name] != _moved(served_views.get(name, ""), served.database, name)]
        if not changed:
            return False
        client.command(render(f"DROP DATABASE IF EXISTS `{prepared}` {ON_CLUSTER} SYNC", cluster))
        client.command(render(f"CREATE DATABASE `{prepared}` {ON_CLUSTER}", cluster))
        for name in changed:
            client.command(_moved(new_views[name], prepared, name, render(ON_CLUSTER, cluster)))
        pairs = [f"`{served.database}`.`{name}` AND `{prepared}`.`{name}`" for name in changed if name in served_views]
        added = [
            f"`{prepared}`.`{name}` TO `{served.database}`.`{name}`" for name in changed if name not in served_views
        ]
        if added:
            client.command(render(f"RENAME TABLE {', '.join(added)} {ON_CLUSTER}", cluster))
        if pairs:
            client.command(render(f"EXCHANGE TABLES {', '.join(pairs)} {ON_CLUSTER}", cluster))
        client.command(render(f"DROP DATABASE IF EXISTS `{prepared}` {ON_CLUSTER} SYNC", cluster))
    return True


def _moved(text: str, database: str, name: str, more: str = "") -> str:
    """The statement that creates a view in another database."""
    return _HEAD.sub(f"CREATE OR REPLACE VIEW `{database}`.`{name}` {f'{more} ' if more else ''}", text, count=1)


def _views(client: Client, database: str) -> dict[str, str]:
    rows = client.query(_VIEWS, {"database": database}).result_rows
    return {str(name): str(text) for name, text in rows}
