"""Small DICOM series and patients for tests, and the ways in which hospitals and networks damage them."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from TARECOMETLib.case.document import Case, CaseFiles
from TARECOMETLib.case.inputs import Inputs, load_inputs
from TARECOMETLib.case.new_case import NewCase, new_case
from TARECOMETLib.case.steps import finish
from TARECOMETLib.errors import InputError
from TARECOMETLib.imaging.dicom_series import DicomSeries, read_series, scan_dicom
from TARECOMETLib.imaging.geometry import VolumeGeometry
from TARECOMETLib.imaging.volume import Volume
from TARECOMETLib.phantom.acquisition import AcquisitionParameters
from TARECOMETLib.phantom.anatomy import AnatomyParameters
from TARECOMETLib.phantom.dicom_writer import (
    Radiopharmaceutical,
    SeriesInfo,
    write_ct_series,
    write_nm_tomography,
    write_pet_series,
)
from TARECOMETLib.phantom.sample_patient import PhantomParameters, make_sample_patient

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
NO_SHARED = "needs ../shared/data"
# The sample patient with large voxels: written in a second, computed in three.
COARSE = PhantomParameters(
    anatomy=AnatomyParameters(spacing_mm=(5.0, 5.0, 5.0)),
    acquisition=AcquisitionParameters(
        spect_spacing_mm=(9.0, 9.0, 9.0), pet_spacing_mm=(8.0, 8.0, 7.0), ct_in_plane_mm=7.0
    ),
)
OBLIQUE = np.array([[0.8, 0.6, 0.0], [-0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
SCAN = datetime(2026, 4, 15, 8, 5)
GIVEN = Radiopharmaceutical(datetime(2026, 4, 14, 14, 5), 1500.0)


def series_info(name: str = "a", **changes: Any) -> SeriesInfo:
    """What the small series say of themselves."""
    info = SeriesInfo("TEST", 1, f"study {name}", f"series {name}", f"frame {name}", 1, 1, f"{name}", SCAN, SCAN)
    return replace(info, **changes)


def ramp(
    shape: tuple[int, int, int] = (5, 4, 3),
    spacing: tuple[float, float, float] = (2.0, 3.0, 4.0),
    direction: np.ndarray | None = None,
) -> Volume:
    """A volume whose every voxel has its own whole value, so that a swap of any two is seen."""
    geometry = VolumeGeometry.from_components(
        shape, spacing_mm=spacing, origin_lps_mm=(-11.0, 7.5, 103.25), direction_lps=direction
    )
    return Volume(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), geometry)


def ct_folder(folder: Path, volume: Volume, info: SeriesInfo | None = None) -> Path:
    """A CT series in a new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_ct_series(folder, volume, info or series_info(), portal_venous=False)
    return folder


def pet_folder(folder: Path, volume: Volume, info: SeriesInfo | None = None) -> Path:
    """A PET series in Bq/mL, START, 1200 s, with a rescale slope of its own in every slice."""
    folder.mkdir(parents=True, exist_ok=True)
    write_pet_series(folder, volume, info or series_info("pet"), GIVEN, frame_duration_s=1200.0)
    return folder


def nm_folder(folder: Path, volume: Volume, info: SeriesInfo | None = None) -> Path:
    """A reconstructed SPECT in one file."""
    folder.mkdir(parents=True, exist_ok=True)
    write_nm_tomography(folder, volume, info or series_info("spect"), GIVEN, frame_duration_s=15.0)
    return folder


def edit(path: Path, change: Callable[[pydicom.Dataset], None]) -> None:
    """Change a DICOM file in place."""
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)


def edit_all(folder: Path, change: Callable[[pydicom.Dataset], None]) -> None:
    """Change every DICOM file below a folder."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        edit(path, change)


def set_tags(**values: Any) -> Callable[[pydicom.Dataset], None]:
    """A change that sets attributes; None deletes one."""

    def change(dataset: pydicom.Dataset) -> None:
        for name, value in values.items():
            if value is None:
                if name in dataset:
                    delattr(dataset, name)
            else:
                setattr(dataset, name, value)

    return change


def set_drug(**values: Any) -> Callable[[pydicom.Dataset], None]:
    """A change of the radiopharmaceutical's item; None deletes."""
    change = set_tags(**values)
    return lambda dataset: change(dataset.RadiopharmaceuticalInformationSequence[0])


def only_series(folder: Path) -> DicomSeries:
    """The one series below a folder."""
    found = scan_dicom(p for p in folder.rglob("*") if p.is_file()).series
    if len(found) != 1:
        raise AssertionError(f"expected one series, found {len(found)}")
    return found[0]


def read_folder(folder: Path) -> Volume:
    """The volume of the one series below a folder."""
    return read_series(only_series(folder))


@functools.lru_cache(maxsize=1)
def coarse_patient() -> Path:
    """The coarse sample patient, made once for all tests and never changed."""
    scratch = tempfile.TemporaryDirectory()
    atexit.register(scratch.cleanup)
    return make_sample_patient(Path(scratch.name) / "patient", parameters=COARSE)


@functools.lru_cache(maxsize=1)
def coarse_case() -> tuple[NewCase, Inputs]:
    """Its case and inputs, read once."""
    made = propose(coarse_patient())
    return made, load(made.case, made.files, coarse_patient())


def copy_of(patient: Path, folder: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(patient, folder))


def propose(folder: Path) -> NewCase:
    """The case proposed for a folder, its file standing in the folder itself."""
    return finish(new_case(folder, folder))


def load(case: Case, files: CaseFiles, base: Path) -> Inputs:
    """Images and contours of a case."""
    return finish(load_inputs(case, files, base))


class RefusalMixin:
    """One way to say that something is refused as the contract wants it."""

    def assert_refused(self, action: Callable[[], Any], *words: str, code: str | None = None) -> InputError:
        """One clear line: an InputError of one line that holds all the words and says what to do."""
        with self.assertRaises(InputError) as caught:  # type: ignore[attr-defined]
            action()
        error, line = caught.exception, str(caught.exception)
        self.assertNotIn("\n", line)  # type: ignore[attr-defined]
        self.assertTrue(error.where and error.problem and error.mend, line)  # type: ignore[attr-defined]
        self.assertLess(len(line), 500, line)  # type: ignore[attr-defined]
        for word in words:
            self.assertIn(word.lower(), line.lower())  # type: ignore[attr-defined]
        if code is not None:
            self.assertEqual(error.code, code, line)  # type: ignore[attr-defined]
        return error
