"""Rules of fields, as upstream documents them: pure functions from an object to what is wrong with it."""
