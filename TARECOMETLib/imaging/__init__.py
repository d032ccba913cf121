"""Grids, DICOM, decay of images, registration and resampling."""
