"""Fine-tunes a language model on selected chains of thought; the only teacher code with torch."""
