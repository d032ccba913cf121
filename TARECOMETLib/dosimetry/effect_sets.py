"""Published parameters of dose-effect models and tissues, each with device, end point and reference."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..errors import InputError
from .effect import KINDS, EffectModel

_TABLE = Path(__file__).resolve().parent.parent / "Resources" / "radiobiology.json"
SCOPE = (
    "Dose is that of voxels of the image; how unevenly single microspheres irradiate the tissue between them is out of "
    "scope, so parameters hold for the device they were fitted for."
)


@dataclass(frozen=True)
class PublishedModel:
    """A published dose-effect model, as far as its source states it.

    Parameters
    ----------
    name, kind, compartment, quantity, device, endpoint, reference : str
        As in `EffectModel`.
    parameters : dict
        Those the source was read for; others of the kind are the person's to give.
    """

    name: str
    kind: str
    compartment: str
    quantity: str
    device: str
    endpoint: str
    reference: str
    parameters: dict[str, float]

    @property
    def to_give(self) -> tuple[str, ...]:
        """Parameters that its source does not state."""
        return tuple(key for key in KINDS[self.kind] if key not in self.parameters)

    def model(self, **given: float) -> EffectModel:
        """The model with the parameters its source states and those given.

        Raises
        ------
        InputError
            Where one is still missing, or one that the source states is given otherwise.
        """
        changed = [key for key in given if key in self.parameters and given[key] != self.parameters[key]]
        if changed:
            raise InputError(
                f'effect model "{self.name}"',
                f"its source states {changed[0]} = {self.parameters[changed[0]]:g}, got {given[changed[0]]:g}",
                "Leave it out, or write a model of your own under another name",
                "effect-parameters",
            )
        words = (self.name, self.kind, self.compartment)
        values = {**self.parameters, **given}
        return EffectModel(*words, values, self.quantity, self.device, self.endpoint, self.reference)


@dataclass(frozen=True)
class PublishedTissue:
    """Published α/β or repair half-time of a tissue; None where its source does not state it."""

    name: str
    compartment: str
    reference: str
    alpha_beta_gy: float | None = None
    repair_half_time_h: float | None = None


@lru_cache(maxsize=1)
def _table() -> dict:
    return json.loads(_TABLE.read_text(encoding="utf-8"))


def published_models() -> tuple[PublishedModel, ...]:
    """All shipped models; every parameter was read in the source that its reference names."""
    return tuple(PublishedModel(**entry) for entry in _table()["models"])


def published_tissues() -> tuple[PublishedTissue, ...]:
    """All shipped tissue parameters."""
    return tuple(PublishedTissue(**entry) for entry in _table()["tissues"])


def published_model(name: str) -> PublishedModel:
    """Look a shipped model up by name (case does not matter).

    Raises
    ------
    InputError
        Where there is none; the sentence lists those there are.
    """
    for model in published_models():
        if model.name.casefold() == name.strip().casefold():
            return model
    names = ", ".join(f'"{model.name}"' for model in published_models())
    raise InputError("effect model", f'there is no published set named "{name}"', f"Choose one of {names}", "effect")
