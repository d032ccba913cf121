"""Adapters between the library and a MRML scene. The scene is always passed in."""
