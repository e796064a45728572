"""The command `firstcall worker`."""

from __future__ import annotations

from deploy.cli.terminal import definitions_of, fail, settings_or_exit


def worker() -> None:
    """Run the streams: events in, profiles, activity and counts out. Start as many as there are partitions, at most.

    Example: `FIRSTCALL_KAFKA=kafka-1:9092 firstcall worker`
    """
    from deploy.cli import logs
    from deploy.local.process import status_server
    from deploy.services import topics
    from streams.app import run_worker

    settings = settings_or_exit()
    definitions_of(settings)
    logs.configure(settings)
    # Streams on topics with a wrong number of partitions would create changelogs with that number. Faust ends while brokers
    # are away, and a supervisor would count that as crashes: so wait here.
    wrong = topics.await_wrong_topics(settings)
    if wrong:
        fail("\n".join(wrong))
    run_worker(settings, lambda watchdog: status_server.show(settings, "worker", watchdog))
