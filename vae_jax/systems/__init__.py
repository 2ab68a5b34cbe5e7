"""Published models as systems: one file per family, each assembled from the axes of the mathematics."""
