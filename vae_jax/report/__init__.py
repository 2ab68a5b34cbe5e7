"""Tables and arrays of what was measured, and the only room that prints tables. Imports pictures and all below."""
