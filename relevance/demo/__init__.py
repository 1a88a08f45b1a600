"""The main job end to end: every folder's commands in order, passing files, each step once."""
