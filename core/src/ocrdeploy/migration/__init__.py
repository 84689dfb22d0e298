"""The command lines of MMOCR 0.x's deployment tools, and the commands that do here what they did."""
