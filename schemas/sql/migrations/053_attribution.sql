-- Grain: one row for each touch that has a part in a conversion by a model; a conversion without touches has one row with
--   position 0 and no texts, so that the credits of each conversion and model add up to exactly 1.
-- Key: (level, subject_id, conversion, model, position).
-- Engine: a view over attribution_within without a limit: all touches at or before the conversion count. Models: first, last,
--   linear (equal parts), position (40 % each to first and last, the rest in equal parts to those between; of two, half each).
CREATE OR REPLACE VIEW attribution /* ON CLUSTER */
(
    level LowCardinality(String) COMMENT 'developer or company',
    subject_id String COMMENT 'Who converted: developer id or company id',
    conversion LowCardinality(String) COMMENT 'signup, or activated:<definition>',
    converted_at DateTime64(3, 'UTC') COMMENT 'When',
    model LowCardinality(String) COMMENT 'first, last, linear or position',
    touches UInt32 COMMENT 'How many touches the subject had at or before the conversion',
    position UInt32 COMMENT 'Which of them this is, from 1; 0: there was none',
    credit Decimal(18, 12) COMMENT 'Its part in the conversion; add it up',
    touched_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the touch was; there was none: NULL',
    name String COMMENT 'Name of its event',
    campaign String COMMENT 'Campaign (utm_campaign), empty if none',
    source String COMMENT 'Its source (utm_source)',
    medium String COMMENT 'Its medium (utm_medium)',
    term String COMMENT 'Its term (utm_term)',
    content String COMMENT 'Its content (utm_content)',
    referrer String COMMENT 'Host that led here',
    path String COMMENT 'Path of the page',
    developer_id String COMMENT 'Whose touch it was: of a company, one of its developers or a visitor',
    event_hash UInt64 COMMENT 'Of the touch''s event, as in touches',
    message_id String COMMENT 'Of the touch''s event'
)
COMMENT 'Which touches have what part in sign-ups and activations'
AS SELECT * FROM /* database */attribution_within(lookback_days = 0, level = '', conversion = '', model = '');
