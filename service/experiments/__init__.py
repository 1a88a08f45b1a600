"""Control and treatment side by side: who answers, what falls back, what is logged of it."""
