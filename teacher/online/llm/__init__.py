"""The language model as a judge: prompt, reply, structure, client; no engine and no torch."""
