"""What dashboards ask of the read contract: each question with its SQL, for the benchmark and for authors to copy from."""

from __future__ import annotations

from typing import Final

#: Of the synthetic population: a company and a developer that use the API much.
GIVEN: Final = {"company": "company-0", "developer": "usr_100"}

_CALLS: Final = "source = 'api' AND api_key != '' AND NOT is_internal AND NOT is_bot"

QUESTIONS: Final = {
    "calls per day, 90 days": f"SELECT day, sum(events) AS calls FROM usage WHERE {_CALLS} GROUP BY day ORDER BY day",
    "calls per day and environment, 90 days": f"""
        SELECT day, environment, sum(events) AS calls FROM usage WHERE {_CALLS} GROUP BY day, environment ORDER BY day""",
    "calls per day and company, 90 days": f"""
        SELECT day, company_id, sum(events) AS calls FROM usage_resolved WHERE {_CALLS} GROUP BY day, company_id""",
    "calls per day and company, 28 days": f"""
        SELECT day, company_id, sum(events) AS calls FROM usage_resolved
        WHERE {_CALLS} AND day > '2026-03-03' GROUP BY day, company_id""",
    "errors and mean latency by company, 90 days": f"""
        SELECT company_id, sum(events) AS calls, sum(client_errors + server_errors) / calls AS errors,
            sum(latency_ms) / sum(latency_events) AS mean_latency_ms
        FROM usage_resolved WHERE {_CALLS} GROUP BY company_id ORDER BY calls DESC LIMIT 50""",
    "active developers per day, 90 days": f"""
        SELECT day, uniqExact(developer_id) AS developers FROM usage_resolved WHERE {_CALLS} GROUP BY day ORDER BY day""",
    "active developers per day and company, 28 days": f"""
        SELECT day, company_id, uniqExact(developer_id) AS developers FROM usage_resolved
        WHERE {_CALLS} AND day > '2026-03-03' GROUP BY day, company_id""",
    "top companies by calls, 90 days": f"""
        SELECT company_id, sum(events) AS calls FROM usage_resolved WHERE {_CALLS} AND company_id != ''
        GROUP BY company_id ORDER BY calls DESC LIMIT 20""",
    "client libraries by status, 90 days": f"""
        SELECT sdk, sum(events) AS calls, sum(successes), sum(client_errors), sum(server_errors) FROM usage WHERE {_CALLS} GROUP BY sdk""",
    "pages per day by kind of developer, 90 days": """
        SELECT day, if(developer_id LIKE '%_id:%', 'visitor', 'user') AS kind, sum(events) AS pages
        FROM usage_resolved WHERE name = 'Page Viewed' AND NOT is_bot GROUP BY day, kind ORDER BY day""",
    "one company's usage, 30 days": f"""
        SELECT day, sum(events) AS calls, uniqExact(developer_id) AS developers FROM usage_resolved
        WHERE {_CALLS} AND company_id = {{company:String}} AND day > '2026-03-01' GROUP BY day ORDER BY day""",
    "one developer's journey": "SELECT * FROM journey(developer = {developer:String}) ORDER BY time LIMIT 1000",
    "events of the last 7 days by company": """
        SELECT company_id, count(), quantile(0.95)(latency_ms) FROM events_resolved
        WHERE time >= '2026-03-25' GROUP BY company_id""",
    "events of the last 7 days by path, unresolved": """
        SELECT path, status, count() FROM events WHERE time >= '2026-03-25' GROUP BY path, status""",
    "all events by company, 90 days": "SELECT company_id, count() FROM events_resolved GROUP BY company_id",
    "view developers": "SELECT kind, count(), countIf(isNotNull(activated_at)) FROM developers GROUP BY kind",
    "view companies": "SELECT toStartOfWeek(signup_at) AS week, count() FROM companies GROUP BY week ORDER BY week",
    "view activations": "SELECT level, definition, toDate(activated_at) AS day, count() FROM activations GROUP BY ALL",
    "view activity, 28 days": """
        SELECT day, uniqExact(subject_id) FROM activity
        WHERE level = 'developer' AND environment = 'production' AND day > '2026-03-03' GROUP BY day""",
    "view activity, 90 days": """
        SELECT day, uniqExact(subject_id) FROM activity
        WHERE level = 'developer' AND environment = 'production' GROUP BY day""",
    "view rolling_counts, one series of 90 days": """
        SELECT hour, value FROM rolling_counts
        WHERE metric = 'active_developers' AND window_hours = 168 ORDER BY hour""",
    "view rolling_counts, all": "SELECT metric, level, window_hours, max(value) FROM rolling_counts GROUP BY ALL",
}
