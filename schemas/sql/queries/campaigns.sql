-- title: What first touches lead to
-- description: Developers by the campaign, else referrer, of their first touch.
-- topic: attribution
-- parameters:
--   limit: {type: UInt32, default: 15, meaning: how many rows}
-- chart: {kind: bar, label: first_touch, numbers: [signed_up, activated]}
-- columns:
--   first_touch: its campaign, else the domain of its referrer, else its name
--   developers: whose first touch it is, visitors included
--   signed_up: of these
--   called: of these, with a successful call
--   activated: of these, entered the stage activated
--   activated_percent_of_signed_up: activated of those signed up
SELECT
    multiIf(first_touch_campaign != '', first_touch_campaign, first_touch_referrer != '', domain(first_touch_referrer),
        isNotNull(first_touch_at), first_touch_name, '(none)') AS first_touch,
    count() AS developers,
    countIf(isNotNull(signup_at)) AS signed_up,
    countIf(isNotNull(first_call_at)) AS called,
    countIf(isNotNull(activated_at)) AS activated,
    round(100 * activated / nullIf(signed_up, 0), 1) AS activated_percent_of_signed_up
FROM developers
WHERE NOT is_internal AND NOT is_bot
GROUP BY first_touch
ORDER BY signed_up DESC, developers DESC, first_touch
LIMIT {limit:UInt32}
