-- Events, each once.
SELECT count() FROM {marked:Identifier}
