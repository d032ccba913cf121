"""What an SUV is divided by: body weight, lean body mass, body surface.

SUV by ideal body weight is left out: several formulas go by that name.
"""

from __future__ import annotations

from ..errors import InputError
from ..units import G_PER_KG

SUV_BODY_WEIGHT = "SUVbw (g/mL)"
SUV_SURFACE = "SUVbsa (cm2/mL)"
SUV_LEAN_JAMES = "SUVlbmjames128 (g/mL)"
SUV_LEAN_JANMAHASATIAN = "SUVlbmjanma (g/mL)"
SUV_UNITS = (SUV_BODY_WEIGHT, SUV_SURFACE, SUV_LEAN_JAMES, SUV_LEAN_JANMAHASATIAN)
_CM_PER_M, _CM2_PER_M2 = 100.0, 1.0e4


def suv_normalizer(units: str, weight_kg: float | None, height_m: float | None, sex: str, where: str) -> float:
    """Body size that SUV is concentration times this over dose, in g (cm² for SUVbsa).

    The formulas are those DICOM names at SUV Type (0054,1006), PS3.3 C.8.9.1: James with 128 (1976), Janmahasatian
    2005 (doi:10.2165/00003088-200544100-00004), and Du Bois 1916 for the surface
    (doi:10.1001/archinte.1916.00080130010002).

    Parameters
    ----------
    units : str
        One of ``SUV_UNITS``.
    weight_kg, height_m : float or None
    sex : str
        ``"M"`` or ``"F"``; asked for by lean body mass only.
    where : str
        Image's name for messages.

    Raises
    ------
    InputError
        Where a figure that the formula needs is missing or the outcome cannot be a body.
    """
    if not weight_kg:
        raise _missing(units, "the patient's weight", where)
    if units == SUV_BODY_WEIGHT:
        return weight_kg * G_PER_KG
    if not height_m:
        raise _missing(units, "the patient's height", where)
    height_cm = height_m * _CM_PER_M
    if units == SUV_SURFACE:
        return 0.007184 * weight_kg**0.425 * height_cm**0.725 * _CM2_PER_M2
    if sex not in ("M", "F"):
        raise _missing(units, f'the patient\'s sex as M or F (it is "{sex or "empty"}")', where)
    male = sex == "M"
    if units == SUV_LEAN_JAMES:
        linear, square = (1.10, 128.0) if male else (1.07, 148.0)
        mass_kg = linear * weight_kg - square * (weight_kg / height_cm) ** 2
    else:
        body_mass_index = weight_kg / height_m**2
        offset, slope = (6680.0, 216.0) if male else (8780.0, 244.0)
        mass_kg = 9270.0 * weight_kg / (offset + slope * body_mass_index)
    if not mass_kg > 0.0:
        raise _missing(units, "a weight and height that fit each other", where)
    return mass_kg * G_PER_KG


def _missing(units: str, what: str, where: str) -> InputError:
    return InputError(where, f"its units are {units}, and {what} is missing", "Export the image in Bq/mL", "units")
