-- How many rows of events were written since a moment.
-- since: seconds since 1970 UTC
SELECT count() FROM event_rows WHERE inserted_at >= {since:UInt32}
