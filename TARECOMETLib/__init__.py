"""TARECOMET: dosimetry of transarterial radioembolization of colorectal liver metastases.

The library imports nothing at this level, so that the Slicer module stays light at start-up.
See ``CONTRIBUTING.md`` for which sub-package may import which.
"""

__version__ = "0.1.0"
