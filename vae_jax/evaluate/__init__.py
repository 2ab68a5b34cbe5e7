"""Evaluation: likelihoods and diagnostics of trained models."""
