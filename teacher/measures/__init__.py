"""Measures the catalogue teacher: its explanations, what it stands on, and whom it agrees with."""
