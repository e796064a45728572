"""What dashboards ask of the read contract: each question with its SQL, for the benchmark and for authors to copy from."""

from __future__ import annotations

from typing import Final

#: Of the synthetic population: a company and a developer that use the API much.
GIVEN: Final = {"company": "company-0", "developer": "usr_100"}

_CALLS: Final = "source = 'api' AND NOT is_internal AND NOT is_bot"

QUESTIONS: Final = {
    "calls per day, 90 days": f"SELECT day, sum(events) AS calls FROM usage WHERE {_CALLS} GROUP BY day ORDER BY day",
    "calls per day and environment, 90 days": f"""
        SELECT day, environment, sum(events) AS calls FROM usage WHERE {_CALLS} GROUP BY day, environment ORDER BY day""",
    "calls per day and company, 90 days": f"""
        SELECT day, company_id, sum(events) AS calls FROM api_usage WHERE {_CALLS} GROUP BY day, company_id""",
    "calls per day and company, 28 days": f"""
        SELECT day, company_id, sum(events) AS calls FROM api_usage
        WHERE {_CALLS} AND day > '2026-03-03' GROUP BY day, company_id""",
    "errors and mean latency by company, 90 days": f"""
        SELECT company_id, sum(events) AS calls, sum(client_errors + server_errors) / calls AS errors,
            sum(latency_ms) / sum(latency_events) AS mean_latency_ms
        FROM api_usage WHERE {_CALLS} GROUP BY company_id ORDER BY calls DESC LIMIT 50""",
    "active developers per day, 90 days": f"""
        SELECT day, uniqExact(developer_id) AS developers FROM api_usage WHERE {_CALLS} GROUP BY day ORDER BY day""",
    "active developers per day and company, 28 days": f"""
        SELECT day, company_id, uniqExact(developer_id) AS developers FROM api_usage
        WHERE {_CALLS} AND day > '2026-03-03' GROUP BY day, company_id""",
    "top companies by calls, 90 days": f"""
        SELECT company_id, sum(events) AS calls FROM api_usage WHERE {_CALLS} AND company_id != ''
        GROUP BY company_id ORDER BY calls DESC LIMIT 20""",
    "client libraries by status, 90 days": f"""
        SELECT sdk, sum(events) AS calls, sum(successes), sum(client_errors), sum(server_errors) FROM usage WHERE {_CALLS} GROUP BY sdk""",
    "pages per day by kind of developer, 90 days": """
        SELECT day, if(developer_id LIKE '%_id:%', 'visitor', 'user') AS kind, sum(events) AS pages
        FROM usage_resolved WHERE name = 'Page Viewed' AND NOT is_bot GROUP BY day, kind ORDER BY day""",
    "one company's usage, 30 days": f"""
        SELECT day, sum(events) AS calls, uniqExact(developer_id) AS developers FROM api_usage
        WHERE {_CALLS} AND company_id = {{company:String}} AND day > '2026-03-01'
            AND alias_hash IN (SELECT alias_hash FROM aliases_of(company = {{company:String}}, developer = ''))
        GROUP BY day ORDER BY day""",
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
    "view api_keys": "SELECT company_id, uniqExact(token) FROM api_keys GROUP BY company_id",
    "view web_usage": "SELECT is_known, count(), sum(events) FROM web_usage GROUP BY is_known",
    "view seen_together": "SELECT count() FROM seen_together",
    "view hour_at": "SELECT hour FROM hour_at(at = '')",
    "view trailing_weeks": "SELECT weeks_back, week_end FROM trailing_weeks(at = '', weeks = 8)",
    "view subjects": "SELECT level, kind, segments['technology'] AS technology, count() FROM subjects GROUP BY ALL",
    "view stage_entries": """
        SELECT stage, toMonday(entered_at) AS week, count(), median(seconds_since_previous) FROM stage_entries
        WHERE level = 'developer' GROUP BY ALL""",
    "view signups": "SELECT level, signup_week, count(), median(time_to_first_call_seconds) FROM signups GROUP BY ALL",
    "view activation_candidates": """
        SELECT level, definition, toMonday(anchor_at) AS week, count(), count(activated_at) FROM activation_candidates GROUP BY ALL""",
    "view weekly_use": "SELECT level, week, count(), sum(active_days) FROM weekly_use GROUP BY ALL",
    "views identities, canonical_users, web_aliases": """
        SELECT 'identities' AS view, alias_kind AS kind, count() FROM identities GROUP BY kind
        UNION ALL SELECT 'canonical_users' AS view, 'user_id' AS kind, count() FROM canonical_users
        UNION ALL SELECT 'web_aliases' AS view, alias_kind AS kind, count() FROM web_aliases GROUP BY kind""",
    "view touches, by week and campaign": """
        SELECT toMonday(touched_at) AS week, campaign, count(), uniqExact(subject_id) FROM touches WHERE level = 'developer' GROUP BY ALL""",
    "view touches_of, of one developer": """
        SELECT touched_at, name, campaign, referrer FROM touches_of(level = 'developer')
        WHERE subject_id = {developer:String}
            AND alias_hash IN (SELECT alias_hash FROM aliases_of(company = '', developer = {developer:String})) ORDER BY touched_at""",
    "view conversions": "SELECT level, conversion, toMonday(converted_at) AS week, count() FROM conversions GROUP BY ALL",
    "view attribution, one model": """
        SELECT campaign, sum(credit) FROM attribution
        WHERE level = 'developer' AND conversion = 'signup' AND model = 'linear' GROUP BY campaign""",
    "view attribution_within, 30 days": """
        SELECT campaign, sum(credit)
        FROM attribution_within(lookback_days = 30, level = 'company', conversion = 'signup', model = 'position') GROUP BY campaign""",
    "view outreach": "SELECT toMonday(held_at) AS week, name, count() FROM outreach GROUP BY ALL",
    "view outreach_weeks": "SELECT * FROM outreach_weeks(segment = 'technology', level = 'company')",
    "view concentration": "SELECT hour, largest_share, herfindahl FROM concentration WHERE level = 'company' AND window_hours = 168",
    "view concentration_at": "SELECT * FROM concentration_at(at = '2026-03-13 10:00:00')",
    "view growth": "SELECT hour, growth_percent FROM growth WHERE metric = 'active_tokens' AND level = 'developer' AND segment = ''",
    "views churn_risks, churn_risks_at": """
        SELECT level, definition, count() FROM churn_risks GROUP BY ALL
        UNION ALL SELECT level, definition, count() FROM churn_risks_at(at = '2026-03-13 10:00:00') GROUP BY ALL""",
    "views power_users, power_users_at": """
        SELECT level, definition, count() FROM power_users GROUP BY ALL
        UNION ALL SELECT level, definition, count() FROM power_users_at(at = '2026-03-13 10:00:00') GROUP BY ALL""",
    "view company_journey, 7 days": """
        SELECT * FROM company_journey(company = {company:String}) WHERE time >= '2026-03-25' ORDER BY time LIMIT 1000""",
    "view dead_letters": "SELECT toDate(recorded_at) AS day, reason, count(), count(replayed_at) FROM dead_letters GROUP BY ALL",
    "views alerts, monitors, definitions, funnel_stages, erasures": """
        SELECT 'alerts', count() FROM alerts UNION ALL SELECT 'monitors', count() FROM monitors
        UNION ALL SELECT 'definitions', count() FROM definitions UNION ALL SELECT 'funnel_stages', count() FROM funnel_stages
        UNION ALL SELECT 'erasures', count() FROM erasures""",
    "view activity, 28 days": """
        SELECT day, uniqExact(subject_id) FROM activity
        WHERE level = 'developer' AND environment = 'production' AND day > '2026-03-03' GROUP BY day""",
    "view activity, 90 days": """
        SELECT day, uniqExact(subject_id) FROM activity
        WHERE level = 'developer' AND environment = 'production' GROUP BY day""",
    "view rolling_counts, one series of 90 days": """
        SELECT hour, value FROM rolling_counts
        WHERE metric = 'active_developers' AND window_hours = 168 ORDER BY hour""",
    "view rolling_changes": "SELECT metric, level, sum(change) FROM rolling_changes WHERE window_hours = 168 GROUP BY ALL",
    "view rolling_counts, all": "SELECT metric, level, window_hours, max(value) FROM rolling_counts GROUP BY ALL",
}
