"""The commands of `vae-jax`, a file each: arguments and a console in, the exit status out. Imports everything."""
