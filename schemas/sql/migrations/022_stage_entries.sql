-- Grain: one row for each stage that a subject entered. The earliest entry is the one that counts.
--   Stages may be entered out of order: then seconds_since_previous is negative, and the difference is kept as it is.
--   The furthest stage of each at a time: entered_at <= time AND (further_at IS NULL OR further_at > time), one row a subject.
-- Key: (level, subject_id, stage).
-- Engine: a view over `subjects` and `funnel_stages`.
CREATE OR REPLACE VIEW stage_entries /* ON CLUSTER */
(
    level LowCardinality(String) COMMENT 'developer or company',
    subject_id String COMMENT 'Developer id or company id',
    kind LowCardinality(String) COMMENT 'user, visitor or company',
    company_id String COMMENT 'Company of the subject: of a developer its company, empty if none; of a company itself',
    stage String COMMENT 'Stage that was entered',
    position UInt16 COMMENT 'Its place in the funnel, from 0',
    phase String COMMENT 'awareness, consideration, adoption or advocacy',
    entered_at DateTime64(3, 'UTC') COMMENT 'When it was entered',
    previous_stage String COMMENT 'Nearest stage before it in the funnel that the subject entered, whenever that was; empty if none',
    previous_entered_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When that one was entered',
    seconds_since_previous Nullable(Float64) COMMENT 'From there to here; negative if the previous stage was entered later',
    next_stage String COMMENT 'Stage that follows in the funnel, entered or not; empty after the last',
    further_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the subject first entered any later stage of the funnel; NULL: this is the furthest',
    first_seen Nullable(DateTime64(3, 'UTC')) COMMENT 'Earliest event of the subject that matters for any number',
    last_active Nullable(DateTime64(3, 'UTC')) COMMENT 'Latest such event',
    stages Map(LowCardinality(String), DateTime64(3, 'UTC')) COMMENT 'Time of entry of each stage that the subject entered',
    segments Map(LowCardinality(String), String) COMMENT 'Value by segment, as in subjects'
)
COMMENT 'Who entered which stage of the funnel when: the rows under the funnel and under who is stuck'
AS
WITH
    funnels AS
    (
        SELECT
            level AS of_level,
            groupArray(stage) AS names,
            groupArray(position) AS positions,
            groupArray(phase) AS phases
        FROM (SELECT * FROM funnel_stages ORDER BY level, position)
        GROUP BY level
    )
SELECT
    level, subject_id, kind, company_id,
    names[place] AS stage,
    positions[place] AS position,
    phases[place] AS phase,
    times[nth] AS entered_at,
    names[places[nth - 1]] AS previous_stage,
    if(nth > 1, times[nth - 1], NULL) AS previous_entered_at,
    dateDiff('millisecond', previous_entered_at, entered_at) / 1000 AS seconds_since_previous,
    names[place + 1] AS next_stage,
    if(nth < length(times), arrayMin(arraySlice(times, nth + 1)), NULL) AS further_at,
    first_seen, last_active, stages, segments
FROM
(
    SELECT
        *,
        arrayFilter(each -> mapContains(stages, names[each]), arrayEnumerate(names)) AS places,
        arrayMap(each -> stages[names[each]], places) AS times
    FROM subjects
    INNER JOIN funnels ON subjects.level = funnels.of_level
)
ARRAY JOIN places AS place, arrayEnumerate(places) AS nth;
