-- Takes deleted rows off the disk: until then they are only hidden.
ALTER TABLE touch_rows APPLY DELETED MASK
