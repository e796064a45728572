"""What a process shows of itself, read as Prometheus and a load balancer would."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

WITHIN_SECONDS = 60.0


class Scrape:
    """The samples of one answer to /metrics."""

    def __init__(self, text: str) -> None:
        families = list(text_string_to_metric_families(text))
        self.helps = {family.name: family.documentation for family in families}
        self.samples = [sample for family in families for sample in family.samples]

    @property
    def names(self) -> set[str]:
        """The names that an expression can use."""
        return {sample.name for sample in self.samples}

    def sum(self, name: str, **labels: str) -> float:
        """The sum of a metric over all samples with these labels."""
        return sum(
            sample.value for sample in self.samples if sample.name == name and labels.items() <= sample.labels.items()
        )


def metrics_of(url: str) -> Scrape:
    """What is scraped there now."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        return Scrape(answer.read().decode())


def asked(url: str, path: str) -> tuple[int, dict[str, Any]]:
    """The status and body of /healthz or /readyz; (0, {}) while nobody answers."""
    try:
        with urllib.request.urlopen(f"{url}{path}", timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except OSError:
        return 0, {}


def until(condition: Callable[[], bool], what: str = "it did not come about", seconds: float = WITHIN_SECONDS) -> None:
    """Wait for something. Fails when it does not come about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)
