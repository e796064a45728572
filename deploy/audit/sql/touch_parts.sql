-- The parts of an event that decide whether it is a touch and of which fields.
(
    /* content */, toString(name),
    arrayFirst(text -> text != '', [
        if(JSONType(properties, 'url') = 'String', JSONExtractString(properties, 'url'), ''),
        if(JSONType(context, 'page', 'url') = 'String', JSONExtractString(context, 'page', 'url'), '')]),
    arrayFirst(text -> text != '', [
        if(JSONType(properties, 'path') = 'String', JSONExtractString(properties, 'path'), ''),
        if(JSONType(context, 'page', 'path') = 'String', JSONExtractString(context, 'page', 'path'), '')]),
    arrayFirst(text -> text != '', [
        if(JSONType(properties, 'referrer') = 'String', JSONExtractString(properties, 'referrer'), ''),
        if(JSONType(context, 'page', 'referrer') = 'String', JSONExtractString(context, 'page', 'referrer'), ''),
        if(JSONType(context, 'referrer') = 'String', JSONExtractString(context, 'referrer'), '')]),
    arrayFirst(text -> text != '', [
        if(JSONType(context, 'campaign', 'name') = 'String', JSONExtractString(context, 'campaign', 'name'), ''),
        if(JSONType(properties, 'utm_campaign') = 'String', JSONExtractString(properties, 'utm_campaign'), '')]),
    arrayFirst(text -> text != '', [
        if(JSONType(context, 'campaign', 'source') = 'String', JSONExtractString(context, 'campaign', 'source'), ''),
        if(JSONType(properties, 'utm_source') = 'String', JSONExtractString(properties, 'utm_source'), '')]),
    arrayFirst(text -> text != '', [
        if(JSONType(context, 'campaign', 'medium') = 'String', JSONExtractString(context, 'campaign', 'medium'), ''),
        if(JSONType(properties, 'utm_medium') = 'String', JSONExtractString(properties, 'utm_medium'), '')]),
    arrayFirst(text -> text != '', [
        if(JSONType(context, 'campaign', 'term') = 'String', JSONExtractString(context, 'campaign', 'term'), ''),
        if(JSONType(properties, 'utm_term') = 'String', JSONExtractString(properties, 'utm_term'), '')]),
    arrayFirst(text -> text != '', [
        if(JSONType(context, 'campaign', 'content') = 'String', JSONExtractString(context, 'campaign', 'content'), ''),
        if(JSONType(properties, 'utm_content') = 'String', JSONExtractString(properties, 'utm_content'), '')])
)
