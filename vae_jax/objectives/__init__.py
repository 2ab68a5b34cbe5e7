"""What is maximised: bounds, gradient estimators, and terms of a batch. Imports core, distributions and models."""
