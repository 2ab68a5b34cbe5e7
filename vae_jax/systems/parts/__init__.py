"""What published models are assembled from. Imports the mathematics, config, data, optimizers and nets."""
