-- Leaves out most events that are no touch.
type = 'event' AND NOT is_bot AND (/* content */ OR source = 'web'
    AND (position(properties, 'utm_') > 0 OR position(context, 'utm_') > 0 OR position(context, 'campaign') > 0
        OR position(properties, 'referrer') > 0 OR position(context, 'referrer') > 0))
