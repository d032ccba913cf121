"""A digital patient with known truth, written as a hospital would hand it over."""
