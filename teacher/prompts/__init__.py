"""Prompts as data: one TOML file a language, with instructions, aspect definitions and examples."""
