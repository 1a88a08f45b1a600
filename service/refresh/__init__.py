"""Refresh: a catalogue and a bundle become a published generation of item token embeddings."""
