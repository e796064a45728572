-- One event with a trait of the own organisation makes its developer internal.
INSERT INTO {own:Identifier} SELECT DISTINCT developer FROM {facts:Identifier} WHERE is_internal
