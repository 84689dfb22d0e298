"""The TensorRT backend of ocrdeploy. This version announces it and looks for its runtime; engines come later."""

__version__ = "0.1.0"
