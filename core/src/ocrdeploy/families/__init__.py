"""Model families: plugins like any other, which say what a model's outputs mean."""
