"""Press: traffic like a shop's against a running service."""
