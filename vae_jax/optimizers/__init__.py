"""Rules that turn a gradient into a step, all in the form of optax. Imports config alone."""
