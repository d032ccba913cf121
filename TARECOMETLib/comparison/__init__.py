"""Predicted against delivered dose: voxel by voxel, per compartment, and over lesions and patients."""
