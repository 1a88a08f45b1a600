"""Judges pairs and says why: the catalogue teacher, fitted offline, judging online."""
