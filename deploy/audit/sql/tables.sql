-- The working tables of one audit, dropped when it ends. Their names are unique to it.

-- Grain: one row for each combination of parts of events that is a touch.
CREATE TABLE {touches:Identifier}
(
    parts_hash UInt64,
    touch Map(String, String),
    fields Array(Tuple(String, String)) MATERIALIZED arraySort(arrayZip(mapKeys(touch), mapValues(touch))), -- (field, text), sorted
    fields_hash UInt64 MATERIALIZED sipHash64(fields) -- equal touches have the same
)
ENGINE = MergeTree ORDER BY parts_hash;

-- Grain: one row for each combination of texts in events that has a value of any segment.
CREATE TABLE {event_segments:Identifier}
(
    parts_hash UInt64,
    segments Map(LowCardinality(String), String) -- value by segment
)
ENGINE = MergeTree ORDER BY parts_hash;

-- Grain: one row an event, before it is resolved.
CREATE TABLE {marked:Identifier}
(
    alias_kind LowCardinality(String),
    alias String,
    event UInt64,         -- hash of what copies of an event share
    time Int64,
    anonymous_id String,
    session_token String,
    api_key String,
    user_id String,
    company_id String,
    merged_id String,     -- the user id that leads to user_id
    holder_kind LowCardinality(String), -- kind of the web alias that holds it; empty if it names a user, or has none
    holder String,
    environment LowCardinality(String),
    selectors Array(UInt16), -- numbers of the selectors that it matches
    touch UInt64,         -- `fields_hash` of the touch that it is; 0: none
    segments Map(LowCardinality(String), String), -- the values that it has
    is_internal Bool,
    is_content Bool,      -- the selector of touches matches it
    outreach LowCardinality(String), -- its name, if the selector of outreach matches it
    matters Bool          -- a number may depend on it
)
ENGINE = MergeTree ORDER BY (holder_kind, holder);

-- Grain: one row for each web alias with users. Interval i begins at `froms[i]`, the first one always.
CREATE TABLE {links:Identifier}
(
    web_kind LowCardinality(String),
    web_alias String,
    froms Array(Int64),
    users Array(String),
    is_crowded Bool       -- so many share it that it leads to no one
)
ENGINE = MergeTree ORDER BY (web_kind, web_alias);

-- Grain: one row for each session token that was seen with a device.
CREATE TABLE {sessions:Identifier}
(
    token String,
    device String,        -- the anonymous id that it was first seen with
    device_from Int64,
    is_lone Bool          -- some event carries it and neither a user nor a device
)
ENGINE = MergeTree ORDER BY token;

-- Grain: one row for each API key with an owner or a company. Empty: none.
CREATE TABLE {keys:Identifier}
(
    key String,
    owner String,
    owner_from Int64,
    key_company String,
    key_company_from Int64
)
ENGINE = MergeTree ORDER BY key;

-- Grain: one row for each user id that was merged into another one.
CREATE TABLE {merged:Identifier} (user_id String, developer String) ENGINE = MergeTree ORDER BY user_id;

-- Grain: one row a user id, with the developer it leads to and that developer's company.
CREATE TABLE {members:Identifier} (user String, developer String, company String) ENGINE = MergeTree ORDER BY user;

-- Grain: one row for each web alias that holds events which count for nothing, those with an API key apart from the others.
CREATE TABLE {automated:Identifier}
(
    kind LowCardinality(String),
    alias String,
    with_key Bool,
    is_visitor Bool       -- no user and no device is known behind it
)
ENGINE = MergeTree ORDER BY (kind, alias);

-- Grain: one row for each event that counts, with whom it belongs to.
CREATE TABLE {facts:Identifier}
(
    developer String,
    developer_company String,
    is_visitor Bool,
    company String,       -- of the event
    event UInt64,
    time Int64,
    api_key String,
    environment LowCardinality(String),
    selectors Array(UInt16),
    touch UInt64,
    segments Map(LowCardinality(String), String),
    is_internal Bool
)
ENGINE = MergeTree ORDER BY developer;

-- Grain: one row for each developer of the own organisation.
CREATE TABLE {own:Identifier} (developer String) ENGINE = MergeTree ORDER BY developer;

-- Grain: one row for each event that counts for its API key as a token.
CREATE TABLE {token_events:Identifier}
(
    api_key String,
    environment LowCardinality(String),
    time Int64,
    is_use Bool,
    segments Map(LowCardinality(String), String)
)
ENGINE = MergeTree ORDER BY api_key;

-- Grain: one row a subject. Times in ms; of a bot they mean nothing.
CREATE TABLE {subjects:Identifier}
(
    level LowCardinality(String),
    id String,
    kind LowCardinality(String),
    company String,
    first_seen Int64,
    last_active Int64,
    firsts Map(UInt16, Int64), -- earliest time by number of selector
    is_internal Bool,
    is_bot Bool
)
ENGINE = MergeTree ORDER BY (level, id);

-- Grain: one row for each subject with a touch.
CREATE TABLE {first_touches:Identifier}
(
    level LowCardinality(String),
    id String,
    at Int64,
    fields Array(Tuple(String, String)) -- (field, text), sorted
)
ENGINE = MergeTree ORDER BY (level, id);

-- Grain: one row for each segment that a token, developer or company has a value of.
CREATE TABLE {segments:Identifier}
(
    level LowCardinality(String),
    id String,
    segment LowCardinality(String),
    value String,
    possible Array(String), -- of a last value: those that it could be if events had later copies, itself among them
    is_published UInt8    -- 1: what is published takes the place of what was computed
)
ENGINE = ReplacingMergeTree(is_published) ORDER BY (level, id, segment);

-- Grain: one row for each token, developer or company that rolling counts count by segments.
CREATE TABLE {counted:Identifier}
(
    level LowCardinality(String),
    id String,
    places Array(Tuple(String, String, Bool, Bool)) -- (segment, value, it counts there, it is open whether it does)
)
ENGINE = MergeTree ORDER BY (level, id);

-- Grain: one row for each condition of an activation that a subject fulfils, with the moment from which on it does.
CREATE TABLE {moments:Identifier} (level LowCardinality(String), id String, condition UInt16, at Int64) ENGINE = MergeTree ORDER BY (level, id);

-- Grain: one row for each activation that a subject reached.
CREATE TABLE {reached:Identifier}
(
    level LowCardinality(String),
    id String,
    definition LowCardinality(String),
    anchor Int64,
    at Int64,
    matures_at Int64      -- end of the span; 0: there is none
)
ENGINE = MergeTree ORDER BY (level, id, definition);

-- Grain: one row for each activation with a span whose anchor stage a subject entered; `at` is the end of the span.
CREATE TABLE {matured:Identifier} (level LowCardinality(String), id String, definition LowCardinality(String), at Int64) ENGINE = MergeTree ORDER BY (level, id, definition);

-- Grain: one row for each hour in which a subject used the API; `hour` is the number of its start since 1970.
CREATE TABLE {active:Identifier}
(
    level LowCardinality(String),
    id String,
    environment LowCardinality(String),
    hour UInt32,
    latest Int64          -- time of the latest use in it
)
ENGINE = MergeTree ORDER BY (level, id, environment, hour);

-- Grain: one row for each change of a rolling count by a part of the subjects.
CREATE TABLE {steps:Identifier}
(
    metric LowCardinality(String),
    level LowCardinality(String),
    segment LowCardinality(String),       -- '': all subjects
    segment_value LowCardinality(String),
    window_hours UInt16,
    hour UInt32,
    delta Int64,
    open UInt64           -- how much of a change copies of events leave open
)
ENGINE = SummingMergeTree ORDER BY (metric, level, segment, segment_value, window_hours, hour);
