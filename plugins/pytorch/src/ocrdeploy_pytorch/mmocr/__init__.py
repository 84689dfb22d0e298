"""The real MMOCR, where it is installed: its networks behind the same interface as this plugin's own."""
