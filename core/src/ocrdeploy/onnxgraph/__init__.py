"""What the core does to ONNX files: read and write their metadata, and mend their weights."""
