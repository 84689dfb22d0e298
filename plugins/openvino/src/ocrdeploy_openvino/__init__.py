"""The OpenVINO backend of ocrdeploy. The runtime is imported when a session is opened."""

__version__ = "0.1.0"
