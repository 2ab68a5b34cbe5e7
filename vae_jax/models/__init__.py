"""The model as a record of pure functions, and what follows from it alone. Imports core and distributions."""
