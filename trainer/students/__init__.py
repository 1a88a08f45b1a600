"""The student architectures, one file each; how they are trained is not decided here."""
