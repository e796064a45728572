    -- Days of a subject as bits of hours. `possible`: hours that a later copy of an event could add.
    own_hours AS
    (
        SELECT level, id, environment, hour, true AS is_expected FROM {active:Identifier} WHERE level = {level:String}
        UNION ALL
        SELECT level, id, environment, hour + 1, false FROM {active:Identifier}
        WHERE level = {level:String} AND latest + {copies_ms:Int64} > (toInt64(hour) + 1) * 3600000
    ),
    sides AS
    (
        SELECT
            toString(level) AS level, id, toString(environment) AS environment, intDiv(hour, 24) AS day,
            bitShiftLeft(toUInt32(1), hour % 24) AS bit, if(is_expected, 'expected', 'possible') AS side
        FROM own_hours
        UNION ALL
        SELECT
            toString(level), subject_id, toString(environment), toUInt32(toUInt16(day)),
            bitShiftLeft(toUInt32(1), toHour(hour)), 'found'
        FROM activity WHERE level = {level:String}
    ),
    days AS
    (
        SELECT
            level, id, environment, day,
            groupBitOrIf(bit, side = 'expected') AS expected,
            groupBitOrIf(bit, side = 'possible') AS possible,
            groupBitOrIf(bit, side = 'found') AS found,
            multiIf(
                expected = found, 'agree',
                found = 0, 'missing',
                bitAnd(found, expected) = expected AND bitAnd(found, bitOr(expected, possible)) = found, 'unproven',
                expected = 0, 'surplus',
                'differ') AS verdict
        FROM sides
        GROUP BY level, id, environment, day
        HAVING expected != 0 OR found != 0
    )
