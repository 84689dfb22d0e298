"""How good a model's answers are, as figures that can be compared with those of others."""
