"""The kinds of dataset that the core reads; each is a plugin that comes in through its entry point."""
