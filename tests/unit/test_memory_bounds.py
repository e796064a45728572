"""What a process may hold at once is bounded by numbers of its own, not by the deployment's."""

from __future__ import annotations

import pytest

from schemas.config.loading import load_settings
from streams.runtime.faust_app import FETCHED_BYTES, PARTITION_FETCHED_BYTES, make_app
from streams.topology import INPUTS, UPDATES


@pytest.mark.parametrize("partitions", [1, 3, 64, 512])
def test_all_partitions_together_may_be_fetched_ahead_so_far(partitions, tmp_path):
    app = make_app(load_settings(partitions=partitions, data_dir=tmp_path))
    read = sum(1 if topic.single else partitions for topic in (*INPUTS, *UPDATES))
    assert 1 <= app.conf.consumer_max_fetch_size * read <= FETCHED_BYTES
    assert app.conf.consumer_max_fetch_size <= PARTITION_FETCHED_BYTES
