"""Pictures, and the only room that knows matplotlib. Imports train, measure and all below."""
