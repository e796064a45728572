"""What longer history alone costs: the same month of the same people again and again, without Kafka: `python -m tests.benchmarks.soak.growth`.

State and the messages between stages hold an hour's bit for each hour of use, and the events of each browser. So both grow with
months, not with events; what of a worker's memory is in flight grows with its messages.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter, defaultdict
from itertools import islice

from schemas.config.definitions import load
from streams.local import LocalRunner
from streams.messages.outbox import Message
from streams.processors import PROCESSORS
from tests.benchmarks.soak.crowd import Crowd
from tests.conftest import NOW_MS
from tests.support.worlds import SECRETS

BATCH = 20_000


class Weighed(LocalRunner):
    """Counts the messages between processors, and their bytes."""

    def __init__(self) -> None:
        super().__init__(load(), SECRETS, lambda _: None)
        self.messages: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()

    def enqueue(self, messages: list[Message]) -> None:
        """Put messages on their topics."""
        for message in messages:
            self.messages[message.topic] += 1
            self.bytes[message.topic] += len(message.value or b"")
        super().enqueue(messages)


def main() -> None:
    """Print a line a month."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--developers", type=int, default=1_500)
    parser.add_argument("--month", type=int, default=90_000, help="events of each 28 days")
    parser.add_argument("--months", type=int, default=12)
    options = parser.parse_args()
    crowd = Crowd(options.developers, options.month)
    messages, runner = crowd.messages(), Weighed()
    print(f"| months | events | state | {' | '.join(f'bytes of a message of {topic}' for topic in PROCESSORS)} |")
    print("|" + "--:|" * (3 + len(PROCESSORS)))
    for month in range(1, options.months + 1):
        runner.messages.clear()
        runner.bytes.clear()
        of_month = islice(messages, crowd.events_a_month)
        while batch := list(islice(of_month, BATCH)):
            by_topic = defaultdict(list)
            for topic, value in batch:
                by_topic[topic].append((NOW_MS, value))
            for topic, values in by_topic.items():
                runner.feed(topic, values)
                runner.run_until_idle()
        means = (runner.bytes[topic] / max(1, runner.messages[topic]) for topic in PROCESSORS)
        print(
            f"| {month} | {month * crowd.events_a_month:,} | {len(runner.state()) / 1024**2:,.1f} MB | "
            f"{' | '.join(f'{mean:,.0f}' for mean in means)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
