"""Rules that turn a gradient into a step: optax's, or made for it. Imports core, config and the mathematics."""
