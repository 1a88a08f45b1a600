"""The audit: where human labels, teacher and student disagree, and which of them is to blame."""
