"""Mutated bytes at every door of the system: never accepted, never an error that its door does not document."""
