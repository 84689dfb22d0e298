"""The ONNX Runtime backend of ocrdeploy. The runtime is imported when a session is opened or the backend is probed."""

__version__ = "0.1.0"
