"""The panel's steps, each bound in a file of its own."""
