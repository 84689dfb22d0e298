"""The PyTorch backend of ocrdeploy. This version announces it and looks for its runtime; models come later."""

__version__ = "0.1.0"
