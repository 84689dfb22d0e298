"""The kinds of golden results of MMOCR 0.6.3, and what it takes to compare ours with them; `replay.py` runs them all."""
