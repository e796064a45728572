-- Grain: one row for each stage of the funnel of a level. A stage that is an activation of developers only is none of companies.
-- Key: (level, stage).
-- Engine: a view over `definitions`: the funnel is configured.
CREATE OR REPLACE VIEW funnel_stages /* ON CLUSTER */
(
    level LowCardinality(String) COMMENT 'developer or company',
    stage String COMMENT 'Name of the stage',
    position UInt16 COMMENT 'Its place in the funnel, from 0, as in definitions',
    phase String COMMENT 'awareness, consideration, adoption or advocacy',
    activation String COMMENT 'Activation definition by which it is entered; empty if by an event',
    previous_stage String COMMENT 'The stage before it, empty for the first',
    next_stage String COMMENT 'The stage after it, empty for the last'
)
COMMENT 'The funnel of developers and of companies, as configured'
AS SELECT
    level, stage, position, phase, activation,
    lagInFrame(stage) OVER (PARTITION BY level ORDER BY position ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS previous_stage,
    leadInFrame(stage) OVER (PARTITION BY level ORDER BY position ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS next_stage
FROM
(
    SELECT
        arrayJoin(['developer', 'company']) AS level,
        name AS stage,
        position,
        JSONExtractString(definition, 'phase') AS phase,
        JSONExtractString(definition, 'activation', level) AS activation,
        JSONExtractString(definition, 'selector') AS selector
    FROM definitions
    WHERE section = 'stages'
)
WHERE selector != '' OR activation != '';
