-- Removes deleted rows from the disk: until then they are only hidden.
ALTER TABLE {table:Identifier} APPLY DELETED MASK
