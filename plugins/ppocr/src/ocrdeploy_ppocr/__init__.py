"""A model pack for ocrdeploy: PP-OCR's detector, recognizer and 180-degree classifier."""

__version__ = "0.1.0"
