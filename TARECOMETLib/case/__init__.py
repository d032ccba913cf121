"""The Case document and the one workflow from case to results."""
