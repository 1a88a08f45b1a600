"""Learn: students, the losses of multi-dimensional knowledge distillation, training, evaluation."""
