"""How hypothesis runs here: without a clock, which a busy machine would trip."""

from hypothesis import settings

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")
