"""Delivers alerts, each channel on a thread of its own: at least once, retried until the receiver accepts.

A receiver that is away or slow delays no other. What a restart interrupts is delivered after it, by `alert_delivery_rows`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

import structlog
import urllib3

from deploy.alerts.alert import Alert
from deploy.alerts.channels import REPEATED_AFTER_SECONDS, Request, repeats, request
from schemas import metrics
from schemas.config.monitors import Channel, unusable_because

ANSWER_SECONDS: Final = 10.0
FIRST_RETRY_SECONDS: Final = 1.0
#: The pause doubles up to this; the number of retries is not limited.
LONGEST_PAUSE_SECONDS: Final = 300.0

log = structlog.get_logger("firstcall.alerts")

#: Called when a channel took an alert, with the number of attempts.
Delivered = Callable[[Alert, str, int], None]


@dataclass
class _Pending:
    alert: Alert
    attempts: int = 0
    not_before: float = 0.0
    retry_seconds: float = field(default=FIRST_RETRY_SECONDS)


class Dispatch:
    """The channels of a deployment. `post` only queues; `delivered` is called from the channels' threads."""

    def __init__(
        self, channels: Mapping[str, Channel], delivered: Delivered, *, first_retry_seconds: float = FIRST_RETRY_SECONDS
    ) -> None:
        self._channels = {
            name: _ChannelThread(name, channel, delivered, first_retry_seconds) for name, channel in channels.items()
        }

    def post(self, alert: Alert, only: str | None = None) -> None:
        """Queue an alert for all channels, or one. A state of it that is still pending is replaced by the new one."""
        for name, channel in self._channels.items():
            if only is None or only == name:
                channel.post(alert)

    def keep(self, firing: Alert) -> None:
        """Repeat an alert that was delivered before a restart, where the channel needs it."""
        for channel in self._channels.values():
            channel.keep(firing)

    def alerts(self) -> set[str]:
        """The ids of alerts that are pending or repeated."""
        return {alert_id for channel in self._channels.values() for alert_id in channel.alerts()}

    def drop(self, alert_ids: set[str]) -> None:
        """Send nothing about these alerts any more, not even that they are resolved."""
        for channel in self._channels.values():
            channel.drop(alert_ids)

    def threads(self) -> list[threading.Thread]:
        return [channel.thread for channel in self._channels.values()]

    def idle(self) -> bool:
        return all(channel.idle() for channel in self._channels.values())

    def stop(self) -> None:
        """End all threads after their current request. What is not delivered stays pending."""
        for channel in self._channels.values():
            channel.stop()


class _ChannelThread:
    """One channel's thread and its pending and repeated alerts, by id."""

    def __init__(self, name: str, channel: Channel, delivered: Delivered, first_retry_seconds: float) -> None:
        self._name, self._channel, self._delivered = name, channel, delivered
        self._first_retry_seconds = first_retry_seconds
        self._pending: dict[str, _Pending] = {}
        self._firing: dict[str, Alert] = {}
        self._repeated_at = time.monotonic()
        self._stopped = False
        self._changed = threading.Condition()
        self._http = urllib3.PoolManager(
            timeout=urllib3.Timeout(total=ANSWER_SECONDS), retries=False, headers={"User-Agent": "firstcall"}
        )
        metrics.ALERTS_PENDING.labels(name).set_function(lambda: len(self._pending))
        self.thread = threading.Thread(target=self._run, name=f"alerts-{name}", daemon=True)
        self.thread.start()

    def post(self, alert: Alert) -> None:
        with self._changed:
            self._pending[alert.alert_id] = _Pending(alert, retry_seconds=self._first_retry_seconds)
            self._changed.notify()

    def keep(self, firing: Alert) -> None:
        with self._changed:
            if repeats(self._channel):
                self._firing[firing.alert_id] = firing

    def alerts(self) -> set[str]:
        with self._changed:
            return {*self._pending, *self._firing}

    def drop(self, alert_ids: set[str]) -> None:
        with self._changed:
            for alert_id in alert_ids:
                self._pending.pop(alert_id, None)
                self._firing.pop(alert_id, None)

    def idle(self) -> bool:
        with self._changed:
            return not self._pending

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self.thread.join(ANSWER_SECONDS + 1)
        self._http.clear()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stopped:
                    return
                due = self._due()
                if due is None and not self._repeat_is_due():
                    self._changed.wait(self._pause())
                    continue
            if due is None:
                self._repeat()
            else:
                self._deliver(due)

    def _due(self) -> _Pending | None:
        now = time.monotonic()
        ready = [pending for pending in self._pending.values() if pending.not_before <= now]
        return min(ready, key=lambda pending: pending.not_before) if ready else None

    def _pause(self) -> float | None:
        moments = [pending.not_before for pending in self._pending.values()]
        if self._firing:
            moments.append(self._repeated_at + REPEATED_AFTER_SECONDS)
        return max(0.01, min(moments) - time.monotonic()) if moments else None

    def _repeat_is_due(self) -> bool:
        return bool(self._firing) and time.monotonic() >= self._repeated_at + REPEATED_AFTER_SECONDS

    def _repeat(self) -> None:
        self._repeated_at = time.monotonic()
        problem = self._send(list(self._firing.values()))
        metrics.ALERT_DELIVERIES.labels(self._name, "failed" if problem else "delivered").inc()
        if problem:
            log.warning("alerts_not_repeated", channel=self._name, problem=problem)

    def _deliver(self, pending: _Pending) -> None:
        alert = pending.alert
        pending.attempts += 1
        problem = self._send([alert])
        metrics.ALERT_DELIVERIES.labels(self._name, "failed" if problem else "delivered").inc()
        if problem:
            pending.not_before = time.monotonic() + pending.retry_seconds
            pending.retry_seconds = min(2 * pending.retry_seconds, LONGEST_PAUSE_SECONDS)
            log.warning("alert_not_delivered", channel=self._name, alert=alert.alert_id, problem=problem)
            return
        log.info("alert_delivered", channel=self._name, alert=alert.alert_id, state=alert.state)
        # Before it leaves `_pending`, so that `idle` means that it is written too.
        self._delivered(alert, self._name, pending.attempts)
        with self._changed:
            if self._pending.get(alert.alert_id) is pending:
                del self._pending[alert.alert_id]
            elif alert.alert_id not in self._pending:
                # Dropped meanwhile.
                return
            if alert.state == "firing":
                if repeats(self._channel):
                    self._firing[alert.alert_id] = alert
            else:
                self._firing.pop(alert.alert_id, None)

    def _send(self, alerts: list[Alert]) -> str:
        """The error, or nothing. It never holds the URL, which may be a secret."""
        try:
            return self._answer(request(self._channel, alerts, time.time()))
        except (OSError, ValueError) as error:
            return f"the file of its URL or secret cannot be used: {unusable_because(error)}"

    def _answer(self, asked: Request) -> str:
        try:
            # A redirection would send the signed body to another receiver.
            answer = self._http.request(
                "POST", asked.url, body=asked.body, headers=dict(asked.headers), redirect=False, preload_content=False
            )
            try:
                detail = answer.read(200).decode("utf-8", "replace")
            finally:
                answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            return type(error).__name__
        if 200 <= answer.status < 300:
            return ""
        return f"HTTP {answer.status}: {'(the answer repeats the address)' if _repeats(detail, asked.url) else detail}"


def _repeats(answer: str, url: str) -> bool:
    """Whether an answer, cut off as it may be, holds a part of what a URL has after its host."""
    rest = url.split("/", 3)[3:]
    parts = [part[:8] for part in re.split(r"[^\w-]+", unquote(rest[0])) if len(part) > 2] if rest else []
    return any(part in unquote(answer) for part in parts)
