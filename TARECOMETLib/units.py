"""Unit conversions: the only place where factors such as 1e-3 or 3600 stand."""

SECONDS_PER_HOUR = 3600.0
MM3_PER_ML = 1000.0
MBQ_PER_GBQ = 1000.0
BQ_PER_MBQ = 1.0e6
BQ_PER_GBQ = 1.0e9
G_PER_KG = 1000.0
MGY_PER_GY = 1000.0
GY_PER_MGY = 1.0e-3
# 2019 SI definition of the electronvolt, exact (CODATA 2018).
JOULE_PER_MEV = 1.602176634e-13
