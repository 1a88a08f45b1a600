"""The explain console: pages at `/console` that show why a pair scores as it does."""
