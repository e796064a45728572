"""The requests that deliver alerts, by kind of channel. `deploy.alerts.dispatch` sends and retries them.

To add a kind of channel:
1. Declare its model in `schemas/config/monitors.py` and add it to `Channel` there.
2. Build its request in `request` here; `repeats` decides whether a firing alert is sent again and again.
3. Describe it in `deploy/docs/alerts.md`. `dispatch.py` stays as it is.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, assert_never

import orjson

from deploy.alerts.alert import Alert
from schemas.config.monitors import AlertmanagerChannel, Channel, SlackChannel, WebhookChannel

#: Alertmanager resolves an alert that has not been repeated for so long.
EXPIRES_AFTER_SECONDS: Final = 1800
REPEATED_AFTER_SECONDS: Final = 300


class Request(NamedTuple):
    """A POST. The URL may be a secret."""

    url: str
    headers: Mapping[str, str]
    body: bytes


def repeats(channel: Channel) -> bool:
    """Whether a firing alert has to be repeated to stay one."""
    return isinstance(channel, AlertmanagerChannel)


def request(channel: Channel, alerts: Sequence[Alert], now: float) -> Request:
    """The request that delivers alerts: all of them to Alertmanager, only the first to others. `now`: seconds since 1970."""
    if isinstance(channel, AlertmanagerChannel):
        url = f"{str(channel.url).rstrip('/')}/api/v2/alerts"
        body = [alertmanager_alert(alert, channel.labels, now) for alert in alerts]
        return Request(url, {"Content-Type": "application/json"}, orjson.dumps(body))
    if isinstance(channel, SlackChannel):
        body_text = orjson.dumps({"text": slack_text(alerts[0])})
        return Request(channel.address, {"Content-Type": "application/json"}, body_text)
    if isinstance(channel, WebhookChannel):
        return _webhook(channel, alerts[0], now)
    assert_never(channel)


def alertmanager_alert(alert: Alert, labels: Mapping[str, str], now: float) -> dict[str, Any]:
    """An alert for Alertmanager's v2 API. Labels identify it and never change; annotations hold the rest."""
    ends = alert.ended_at / 1000 if alert.state == "resolved" and alert.ended_at else now + EXPIRES_AFTER_SECONDS
    if alert.state == "resolved":
        # An end in the past of its start is refused.
        ends = max(min(ends, now), alert.started_at / 1000 + 1)
    named = {
        "alertname": "FirstcallSilence" if alert.kind == "silence" else "FirstcallDrop",
        "alert_id": alert.alert_id,
        "monitor": alert.monitor,
        "kind": alert.kind,
        "level": alert.level,
        "stage": alert.stage,
        "segment": alert.segment,
        "value": alert.value,
    }
    return {
        "labels": {**labels, **{name: value for name, value in named.items() if value}},
        "annotations": {
            "summary": alert.summary,
            "query": alert.query,
            "drop": f"{alert.drop:.0%}",
            "probability": f"{alert.probability:.2g}",
            "started_between": f"{_time(alert.started_earliest / 1000)} and {_time(alert.started_latest / 1000)}",
        },
        "startsAt": _time(alert.started_at / 1000),
        "endsAt": _time(ends),
    }


def slack_text(alert: Alert) -> str:
    """An alert for people, in the little markup that Slack and those like it share."""
    mark = ":rotating_light:" if alert.state == "firing" else ":white_check_mark:"
    summary = alert.summary.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{mark} *{alert.monitor}*: {summary}\n`{alert.query}`\n_alert {alert.alert_id}_"


def signature(key: bytes, timestamp: str, body: bytes) -> str:
    """What X-Firstcall-Signature holds: HMAC-SHA-256 in hex over the timestamp, a full stop and the body."""
    return "v1=" + hmac.new(key, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _webhook(channel: WebhookChannel, alert: Alert, now: float) -> Request:
    timestamp, body = str(int(now)), webhook_body(alert)
    headers = {
        "Content-Type": "application/json",
        # The same for every repetition: a receiver that keeps it takes each state once.
        "Idempotency-Key": f"{alert.alert_id}:{alert.state}",
        "X-Firstcall-Timestamp": timestamp,
    }
    key = channel.key
    if key:
        headers["X-Firstcall-Signature"] = signature(key, timestamp, body)
    return Request(channel.address, headers, body)


def webhook_body(alert: Alert) -> bytes:
    """An alert as JSON: the columns of the view `alerts`, times in RFC 3339."""
    return orjson.dumps(public_fields(alert), option=orjson.OPT_SORT_KEYS)


def public_fields(alert: Alert) -> dict[str, Any]:
    """The columns of the view `alerts`."""
    times = ("started_at", "started_earliest", "started_latest", "detected_at", "ended_at")
    fields: dict[str, Any] = {name: getattr(alert, name) for name in alert.__struct_fields__ if name != "version"}
    return fields | {name: None if fields[name] is None else _time(fields[name] / 1000) for name in times}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
