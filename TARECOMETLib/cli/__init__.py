"""The command ``tarecomet``."""
