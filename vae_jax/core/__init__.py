"""What every room shares: types, trees, checks, files, errors. Imports nothing of the package."""
