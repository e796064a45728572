-- What a touch says.
SELECT any(touch) FROM {touches:Identifier} WHERE fields = {fields:UInt64}
