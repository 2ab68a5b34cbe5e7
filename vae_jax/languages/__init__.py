"""Grammars, and the two languages that are known by name: expressions and molecules. Imports core alone."""
