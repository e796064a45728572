-- The newest of what the input and the streams have brought.
SELECT
    (SELECT max(received_at) FROM event_rows),
    (SELECT max(version) FROM identity_rows),
    (SELECT max(version) FROM profile_rows),
    (SELECT max(version) FROM activity_rows),
    (SELECT max(version) FROM rolling_rows)
