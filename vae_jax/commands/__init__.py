"""What users call: the commands of `vae-jax`, a file each; from Python `fit` and an estimator. Imports everything."""
