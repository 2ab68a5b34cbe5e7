"""Published models, one file each, assembled from `parts`. Imports everything but train and what is built on it."""
