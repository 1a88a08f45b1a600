"""The routes, one file each; what they answer with is computed in `service`, not here."""
