-- Takes deleted rows off the disk: until then they are only hidden.
ALTER TABLE alert_rows APPLY DELETED MASK
