-- Grain: one row for each sign-up of a subject, and for each activation definition that it has reached.
-- Key: (level, subject_id, conversion).
-- Engine: a view over `signups` and `activations`. Internal and automated subjects are left out: they count for nothing.
CREATE OR REPLACE VIEW conversions /* ON CLUSTER */
(
    level LowCardinality(String) COMMENT 'developer or company',
    subject_id String COMMENT 'Developer id or company id',
    conversion LowCardinality(String) COMMENT 'signup, or activated:<definition>',
    converted_at DateTime64(3, 'UTC') COMMENT 'When: the stage signup was entered (of a company, the first sign-up), the definition was reached'
)
COMMENT 'Sign-ups and activations: what touches lead to'
AS SELECT level, subject_id, 'signup' AS conversion, signup_at AS converted_at
FROM signups
UNION ALL
SELECT level, subject_id, concat('activated:', definition) AS conversion, activated_at AS converted_at
FROM activations;
