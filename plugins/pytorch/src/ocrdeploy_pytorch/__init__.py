"""The PyTorch backend of ocrdeploy: MMOCR's checkpoints, run as they are or exported. PyTorch is imported when one is opened."""

__version__ = "0.1.0"
