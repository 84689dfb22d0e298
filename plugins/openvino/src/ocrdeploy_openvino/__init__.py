"""The OpenVINO backend of ocrdeploy."""

__version__ = "0.1.0"
