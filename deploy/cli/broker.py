"""The command `firstcall broker`."""

from __future__ import annotations

from deploy.cli.terminal import fail, out, settings_or_exit


def broker() -> None:
    """Run Apache Kafka on this machine: one node, loopback only, its data in the data directory.

    Example: `FIRSTCALL_BROKER_PORT=9092 firstcall broker`
    """
    from deploy.local.kafka.broker import LocalBroker

    settings = settings_or_exit()
    with LocalBroker(settings.data_dir, settings.broker_port) as running:
        out.plain(f"Kafka serves at {running.bootstrap}. Ctrl-C ends it.")
        kafka = running.process
        kafka.wait()
    fail(f"Kafka has ended with code {kafka.exit_code}; see {kafka.log}")
