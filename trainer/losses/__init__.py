"""The terms of multi-dimensional knowledge distillation, one small pure function each."""
