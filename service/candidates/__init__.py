"""Candidates for search: which items are worth an exact MaxSim, out of a whole catalogue."""
