"""The part of the teacher that judges: no torch, no scikit-learn, so that a service can hold it."""
