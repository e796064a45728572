"""Delivers alerts, each channel on a thread of its own: at least once, again and again until the receiver takes it.

A receiver that is away or slow holds up nobody else. What a restart interrupts is delivered after it: `alert_delivery_rows` says what is
still to be told.
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

from deploy.alerts import metrics
from deploy.alerts.alert import Alert
from deploy.alerts.channels import REPEATED_AFTER_SECONDS, Request, repeats, request
from schemas.config.monitors import Channel, unusable_because

ANSWER_SECONDS: Final = 10.0
FIRST_RETRY_SECONDS: Final = 1.0
LAST_RETRY_SECONDS: Final = 300.0

log = structlog.get_logger("firstcall.alerts")

#: Told that a channel took an alert, after so many attempts.
Delivered = Callable[[Alert, str, int], None]


@dataclass
class _Waiting:
    alert: Alert
    attempts: int = 0
    not_before: float = 0.0
    retry_seconds: float = field(default=FIRST_RETRY_SECONDS)


class Dispatch:
    """The channels of a deployment. `post` only queues; `delivered` is called from the channels' threads."""

    def __init__(
        self, channels: Mapping[str, Channel], delivered: Delivered, *, first_retry_seconds: float = FIRST_RETRY_SECONDS
    ) -> None:
        self._lines = {name: _Line(name, channel, delivered, first_retry_seconds) for name, channel in channels.items()}

    def post(self, alert: Alert, only: str | None = None) -> None:
        """Tell an alert through all channels, or one. A state of it that is still waiting gives way to the new one."""
        for name, line in self._lines.items():
            if only is None or only == name:
                line.post(alert)

    def keep(self, firing: Alert) -> None:
        """Go on repeating an alert that was delivered before a restart, where that is needed."""
        for line in self._lines.values():
            line.keep(firing)

    def alerts(self) -> set[str]:
        """The ids of alerts that wait to be told or are repeated."""
        return {alert_id for line in self._lines.values() for alert_id in line.alerts()}

    def forget(self, alert_ids: set[str]) -> None:
        """Say nothing of these any more. Who was told that they fire hears no end."""
        for line in self._lines.values():
            line.forget(alert_ids)

    def threads(self) -> list[threading.Thread]:
        """The channels' threads, which live until `stop`."""
        return [line.thread for line in self._lines.values()]

    def idle(self) -> bool:
        """Whether everything is delivered."""
        return all(line.idle() for line in self._lines.values())

    def stop(self) -> None:
        """End all threads, after what they are at. What is not delivered stays so."""
        for line in self._lines.values():
            line.stop()


class _Line:
    """One channel's thread and what waits for it, by alert."""

    def __init__(self, name: str, channel: Channel, delivered: Delivered, first_retry_seconds: float) -> None:
        self._name, self._channel, self._delivered = name, channel, delivered
        self._first_retry_seconds = first_retry_seconds
        self._waiting: dict[str, _Waiting] = {}
        self._firing: dict[str, Alert] = {}
        self._repeated_at = time.monotonic()
        self._stopped = False
        self._changed = threading.Condition()
        self._http = urllib3.PoolManager(
            timeout=urllib3.Timeout(total=ANSWER_SECONDS), retries=False, headers={"User-Agent": "firstcall"}
        )
        metrics.WAITING.labels(name).set_function(lambda: len(self._waiting))
        self.thread = threading.Thread(target=self._run, name=f"alerts-{name}", daemon=True)
        self.thread.start()

    def post(self, alert: Alert) -> None:
        with self._changed:
            self._waiting[alert.alert_id] = _Waiting(alert, retry_seconds=self._first_retry_seconds)
            self._changed.notify()

    def keep(self, firing: Alert) -> None:
        with self._changed:
            if repeats(self._channel):
                self._firing[firing.alert_id] = firing

    def alerts(self) -> set[str]:
        with self._changed:
            return {*self._waiting, *self._firing}

    def forget(self, alert_ids: set[str]) -> None:
        with self._changed:
            for alert_id in alert_ids:
                self._waiting.pop(alert_id, None)
                self._firing.pop(alert_id, None)

    def idle(self) -> bool:
        with self._changed:
            return not self._waiting

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
                self._tell(due)

    def _due(self) -> _Waiting | None:
        now = time.monotonic()
        ready = [waiting for waiting in self._waiting.values() if waiting.not_before <= now]
        return min(ready, key=lambda waiting: waiting.not_before) if ready else None

    def _pause(self) -> float | None:
        moments = [waiting.not_before for waiting in self._waiting.values()]
        if self._firing:
            moments.append(self._repeated_at + REPEATED_AFTER_SECONDS)
        return max(0.01, min(moments) - time.monotonic()) if moments else None

    def _repeat_is_due(self) -> bool:
        return bool(self._firing) and time.monotonic() >= self._repeated_at + REPEATED_AFTER_SECONDS

    def _repeat(self) -> None:
        self._repeated_at = time.monotonic()
        problem = self._send(list(self._firing.values()))
        metrics.DELIVERIES.labels(self._name, "failed" if problem else "delivered").inc()
        if problem:
            log.warning("alerts not repeated", channel=self._name, problem=problem)

    def _tell(self, waiting: _Waiting) -> None:
        alert = waiting.alert
        waiting.attempts += 1
        problem = self._send([alert])
        metrics.DELIVERIES.labels(self._name, "failed" if problem else "delivered").inc()
        if problem:
            waiting.not_before = time.monotonic() + waiting.retry_seconds
            waiting.retry_seconds = min(2 * waiting.retry_seconds, LAST_RETRY_SECONDS)
            log.warning("alert not delivered; trying again", channel=self._name, alert=alert.alert_id, problem=problem)
            return
        log.info("alert delivered", channel=self._name, alert=alert.alert_id, state=alert.state)
        # Before it is no longer waiting, so that `idle` means that it is noted too.
        self._delivered(alert, self._name, waiting.attempts)
        with self._changed:
            if self._waiting.get(alert.alert_id) is waiting:
                del self._waiting[alert.alert_id]
            elif alert.alert_id not in self._waiting:
                # Forgotten meanwhile.
                return
            if alert.state == "firing":
                if repeats(self._channel):
                    self._firing[alert.alert_id] = alert
            else:
                self._firing.pop(alert.alert_id, None)

    def _send(self, alerts: list[Alert]) -> str:
        """What went wrong, or nothing. It never holds the URL, which may be a secret."""
        try:
            return self._answer(request(self._channel, alerts, time.time()))
        except (OSError, ValueError) as error:
            return f"the file of its URL or secret cannot be used: {unusable_because(error)}"

    def _answer(self, asked: Request) -> str:
        try:
            # A redirection would carry what is signed to where nobody wanted it.
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
