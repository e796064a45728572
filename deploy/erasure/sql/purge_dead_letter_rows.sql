-- Takes deleted rows off the disk: until then they are only hidden.
ALTER TABLE dead_letter_rows APPLY DELETED MASK
