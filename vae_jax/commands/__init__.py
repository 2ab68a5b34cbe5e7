"""The commands of `vae-jax`: each takes its arguments and a console, and gives the exit status."""
