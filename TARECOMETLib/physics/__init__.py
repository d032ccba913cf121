"""Decay data, beta dose point kernels and voxel kernels: numpy and scipy only."""
