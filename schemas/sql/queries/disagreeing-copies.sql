-- title: Events of which copies came (same alias and message id) that disagree in more than their times
-- description: >-
--   A fault of their producer. Stages and activations take such an event once; counts of events, as in `usage`, take
--   each of its copies.
-- topic: pipeline
-- parameters:
--   from: {type: Time, meaning: 'after this time, UTC; empty for a week before `to`'}
--   to: {type: Time, meaning: and at this time at the latest; empty for the latest event}
--   limit: {type: UInt32, default: 15, meaning: how many rows}
-- columns:
--   time: the earliest of any copy, UTC
--   name: what happened, by that copy
--   alias_kind: 'which identifier is the alias: user_id, api_key, session_token or anonymous_id'
--   alias: the strongest identifier the event carries
--   message_id: the producer's id of the event
--   copies: how many different ones
--   differ_in: the fields that they disagree in
WITH
    coalesce(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC'), (SELECT max(last_active) FROM developers), toDateTime64(0, 3, 'UTC')) AS until,
    coalesce(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC'), until - toIntervalWeek(1)) AS after,
    -- Numbers first, so that texts are compared of few.
    found AS
    (
        SELECT cityHash64(alias_hash, message_id) AS event
        FROM event_rows
        WHERE week >= toMonday(after) AND week <= toMonday(until) AND is_deleted = 0
            AND time > toUnixTimestamp64Milli(after) AND time <= toUnixTimestamp64Milli(until)
        GROUP BY event
        HAVING min(content_hash) != max(content_hash)
    )
SELECT
    min(events.time) AS time, argMin(events.name, (events.time, events.name)) AS name, alias_kind, alias, message_id, count() AS copies,
    arrayMap(field -> field.1, arrayFilter(field -> field.2 > 1, [
        ('name', uniqExact(events.name)), ('type', uniqExact(events.type)), ('source', uniqExact(events.source)),
        ('environment', uniqExact(environment)), ('anonymous_id', uniqExact(anonymous_id)), ('session_token', uniqExact(session_token)),
        ('api_key', uniqExact(api_key)), ('user_id', uniqExact(user_id)), ('company_id', uniqExact(company_id)),
        ('previous_id', uniqExact(previous_id)), ('properties', uniqExact(properties)), ('context', uniqExact(context)),
        ('traits', uniqExact(traits))])) AS differ_in
FROM events
WHERE cityHash64(alias_hash, message_id) IN (SELECT event FROM found) AND events.time > after AND events.time <= until
GROUP BY alias_kind, alias, message_id
ORDER BY time DESC, alias_kind, alias, message_id
LIMIT {limit:UInt32}
