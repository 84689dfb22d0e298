"""The tables of commands: those of the core, which reports are made of, too."""

from ocrdeploy.tables import columns, table, trouble

__all__ = ["columns", "table", "trouble"]
