-- What first touches lead to: developers by the campaign, else referrer, of their first touch.
-- limit = 15: how many rows
-- topic: attribution
-- chart: bar first_touch signed_up activated
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
