"""From activity to dose in voxels and compartments: numpy and scipy only."""
