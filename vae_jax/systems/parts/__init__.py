"""The parts from which published models are assembled. Imports the mathematics, config, data, optimizers and nets."""
