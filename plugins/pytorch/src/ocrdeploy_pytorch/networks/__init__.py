"""MMOCR's networks in plain PyTorch: the same state dict, key by key, and the same outputs."""
