-- title: What led to sign-ups or activations
-- description: >-
--   Each conversion's credit, shared among the touches before it. A conversion without any is a row of its own.
-- topic: attribution
-- parameters:
--   model:
--     values: [first, last, linear, position]
--     default: position
--     meaning: position gives 40 % to the first touch, 40 % to the last, the rest between
--   conversion: {default: signup, names: conversions, meaning: 'signup, or activated:<definition>'}
--   level: {values: [developer, company], default: developer}
--   by: {values: [campaign, source, medium, term, content, referrer, path, name], default: campaign}
--   from: {type: Time, meaning: 'conversions from this time on, UTC; empty for all'}
--   to: {type: Time, meaning: 'conversions before this time, UTC; empty for all'}
--   lookback: {type: UInt16, default: 0, meaning: only touches of so many days before the conversion; 0 for all}
--   limit: {type: UInt32, default: 20, meaning: how many rows}
-- chart: {kind: bar, label: touch, numbers: [credit_of_conversions]}
-- columns:
--   touch: 'what is asked for by `by`; (none): the touch has none; (no touch): there was none'
--   credit_of_conversions: sum of parts of conversions
--   percent: of all credit
--   subjects_with_credit: distinct subjects whose conversion it has a part of
WITH
    credited AS
    (
        SELECT
            subject_id, position, credit,
            -- One within the other: all but the one that is asked for are left out before anything is read.
            if({by:String} = 'campaign', campaign, if({by:String} = 'source', source, if({by:String} = 'medium', medium,
                if({by:String} = 'term', term, if({by:String} = 'content', content, if({by:String} = 'referrer', referrer,
                if({by:String} = 'path', path, name))))))) AS text
        FROM attribution_within(lookback_days = {lookback:UInt16}, level = {level:String}, conversion = {conversion:String}, model = {model:String})
        WHERE converted_at >= coalesce(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC'), toDateTime64(0, 3, 'UTC'))
            AND converted_at < coalesce(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC'), toDateTime64('2200-01-01', 3, 'UTC'))
    )
SELECT
    multiIf(position = 0, '(no touch)', text = '', '(none)', toString(text)) AS touch,
    round(toFloat64(sum(credit)), 2) AS credit_of_conversions,
    round(100 * toFloat64(sum(credit)) / nullIf(sum(toFloat64(sum(credit))) OVER (), 0), 1) AS percent,
    uniqExact(subject_id) AS subjects_with_credit
FROM credited
GROUP BY touch
ORDER BY credit_of_conversions DESC, touch
LIMIT {limit:UInt32}
