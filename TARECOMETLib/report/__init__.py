"""Figures, tables and the PDF report."""
