-- Takes deleted rows off the disk: until then they are only hidden.
ALTER TABLE event_rows APPLY DELETED MASK
