"""A new plugin's package: written from templates, whole or not at all."""
