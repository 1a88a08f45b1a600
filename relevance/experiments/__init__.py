"""Online experiments: what a shop describes, how keys are assigned, and how the outcome is read.

Which store answers a request, and what is logged of it, is the service's.
"""
