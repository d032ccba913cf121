"""Rules that drawn contours keep: where they lie, what may overlap, pieces, holes, the field's edge."""

from __future__ import annotations

import numpy as np

from ..dosimetry.compartments import LIVER, LUNG, TERRITORY, TUMOUR
from ..imaging.geometry import same_grid
from ..imaging.volume import Volume
from .document import Case
from .findings import BLOCK, DOUBT, NOTE, Finding
from .inputs import Inputs

# A tumour may bulge a little over a smoothly drawn liver; below this it is not worth a person's attention.
_OUTSIDE_NOTICED_SHARE, _OUTSIDE_NOTICED_ML = 0.02, 0.1
# Crumbs that drawing leaves are no matter; pieces and holes above both are.
_PIECE_NOTICED_SHARE, _PIECE_NOTICED_ML, _HOLE_NOTICED_ML = 0.005, 0.5, 0.5
_OVERLAP_NOTICED_SHARE, _OVERLAP_NOTICED_ML = 0.05, 0.1
_CHECKED_PAIRS = ((TUMOUR, TUMOUR), (TERRITORY, TERRITORY), (LUNG, LIVER), (LUNG, TUMOUR))


def check_contours(case: Case, inputs: Inputs) -> list[Finding]:
    """All findings about contours, unsorted."""
    found = []
    livers = case.contours_of(LIVER)
    liver = inputs.contours.get(livers[0]) if livers else None
    boxes: dict[str, Volume] = {}
    for contour in case.contours:
        volume = inputs.contours.get(contour.name)
        if volume is None:
            continue
        where = f'contour "{contour.name}"'
        if not volume.array.any():
            found.append(Finding(BLOCK, "empty-contour", where, "it is empty", "Draw it or take it out of the case"))
            continue
        boxes[contour.name] = cropped(volume)
        image = inputs.images.get(contour.drawn_on)
        if image is not None:
            covered = _covered(volume, image)
            if covered < 0.99:
                found.append(
                    Finding(
                        BLOCK,
                        "outside-image",
                        where,
                        f"{100.0 * (1.0 - covered):.0f} % of it lies outside the {contour.drawn_on} image",
                        "Check that it was drawn on this image",
                    )
                )
                continue
        if liver is not None and liver.array.any() and contour.role in (TUMOUR, TERRITORY):
            found.extend(_inside_liver(contour.name, contour.role, volume, liver))
        found.extend(_shape(where, contour.role, boxes[contour.name], inputs.images.get(contour.drawn_on)))
    found.extend(_overlaps(case, boxes))
    if not case.contours_of(LUNG):
        found.append(Finding(NOTE, "no-lungs", "contours", "no lungs are drawn: lung dose uses the assumed lung mass"))
    return found


def cropped(volume: Volume) -> Volume:
    """A contour without the empty voxels around it."""
    array = volume.array.astype(bool)
    filled = [np.flatnonzero(array.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    lower = tuple(int(part[0]) for part in filled)
    box = array[tuple(slice(int(part[0]), int(part[-1]) + 1) for part in filled)]
    return Volume(box, volume.geometry.cropped(lower, box.shape))  # type: ignore[arg-type]


def _covered(contour: Volume, image: Volume) -> float:
    """Share of a contour's voxels whose centers lie in an image."""
    index = np.argwhere(contour.array)[:, ::-1]
    points = np.concatenate((index, np.ones((len(index), 1))), axis=1)
    inside = (points @ (image.geometry.lps_to_ijk @ contour.geometry.ijk_to_lps).T)[:, :3]
    limit = np.array(image.geometry.shape_kji[::-1]) - 0.5
    return float(np.mean(np.all((inside >= -0.5) & (inside <= limit), axis=1)))


def _inside_liver(name: str, role: str, volume: Volume, liver: Volume) -> list[Finding]:
    inside = _share_inside(volume, liver)
    outside_ml = (1.0 - inside) * float(volume.array.sum()) * volume.geometry.voxel_volume_ml
    where = f'{"tumour" if role == TUMOUR else "territory"} "{name}"'
    if inside < 0.5:
        return [
            Finding(
                BLOCK,
                "outside-liver",
                where,
                f"{100.0 * (1.0 - inside):.0f} % of it lies outside the liver, expected under half",
                "Check its contour, its role, and that the liver's contour holds the tumours",
            )
        ]
    if 1.0 - inside > _OUTSIDE_NOTICED_SHARE and outside_ml > _OUTSIDE_NOTICED_ML:
        return [
            Finding(
                DOUBT,
                "partly-outside-liver",
                where,
                f"{outside_ml:.1f} mL of it ({100.0 * (1.0 - inside):.0f} %) lie outside the liver",
                "Correct either contour, or say why; this part stays in the contour and out of normal liver",
            )
        ]
    return []


def _share_inside(volume: Volume, other: Volume) -> float:
    """Share of a contour's voxels whose centers lie in another contour."""
    index = np.argwhere(volume.array)[:, ::-1]
    points = np.concatenate((index, np.ones((len(index), 1))), axis=1)
    there = np.rint((points @ (other.geometry.lps_to_ijk @ volume.geometry.ijk_to_lps).T)[:, 2::-1]).astype(int)
    shape = np.array(other.geometry.shape_kji)
    valid = np.all((there >= 0) & (there < shape), axis=1)
    hit = np.zeros(len(there), dtype=bool)
    hit[valid] = other.array[tuple(there[valid].T)]
    return float(hit.mean())


def _shape(where: str, role: str, box: Volume, image: Volume | None) -> list[Finding]:
    """Pieces, holes, and whether the contour ends at the edge of its image's field."""
    from scipy.ndimage import binary_fill_holes, label

    found = []
    voxel_ml = box.geometry.voxel_volume_ml
    labels, count = label(box.array)
    sizes = np.sort(np.bincount(labels.ravel())[1:])[::-1] * voxel_ml
    whole_ml = float(sizes.sum())
    allowed = 2 if role == LUNG else 1
    pieces = [s for s in sizes[allowed:] if s > _PIECE_NOTICED_ML and s > _PIECE_NOTICED_SHARE * whole_ml]
    if count > allowed and pieces:
        found.append(
            Finding(
                NOTE if role == TUMOUR else DOUBT,
                "islands",
                where,
                f"it has {allowed + len(pieces)} separate pieces, expected {allowed}; the smaller ones hold "
                f"{sum(pieces):.1f} mL",
                "Take away what does not belong to it, or say why; every piece counts",
            )
        )
    hole_ml = float(np.count_nonzero(binary_fill_holes(box.array) & ~box.array)) * voxel_ml
    if hole_ml > _HOLE_NOTICED_ML:
        hint = "; tumours cut out of the liver belong into it" if role == LIVER else ""
        found.append(
            Finding(DOUBT, "holes", where, f"it has holes of {hole_ml:.1f} mL", f"Fill them, or say why{hint}")
        )
    if image is not None and role != LUNG and _at_edge(box, image):
        found.append(
            Finding(
                DOUBT,
                "at-field-edge",
                where,
                "it ends at the edge of its image: what lies beyond is missing from its volume and dose",
                "Use an image that holds all of it, or say why",
            )
        )
    return found


def _at_edge(box: Volume, image: Volume) -> bool:
    """Whether a contour fills more than a few voxels of an outermost layer of its image's field."""
    index = np.argwhere(box.array)[:, ::-1]
    points = np.concatenate((index, np.ones((len(index), 1))), axis=1)
    there = (points @ (image.geometry.lps_to_ijk @ box.geometry.ijk_to_lps).T)[:, :3]
    limit = np.array(image.geometry.shape_kji[::-1]) - 1.0
    touching = np.any((there < 0.5) | (there > limit - 0.5), axis=1)
    return bool(np.count_nonzero(touching) > max(3, 0.0005 * len(index)))


def _overlaps(case: Case, boxes: dict[str, Volume]) -> list[Finding]:
    """Contours that should be apart and share a volume."""
    found = []
    role_of = {contour.name: contour.role for contour in case.contours}
    names = [name for name in boxes if role_of[name] in (TUMOUR, TERRITORY, LUNG, LIVER)]
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            roles = (role_of[first], role_of[second])
            if roles not in _CHECKED_PAIRS and roles[::-1] not in _CHECKED_PAIRS:
                continue
            if roles == (TERRITORY, TERRITORY):
                continue  # judged against the injections once parcels are made
            shared_ml, smaller_ml = _shared_ml(boxes[first], boxes[second])
            if shared_ml <= _OVERLAP_NOTICED_ML or shared_ml <= _OVERLAP_NOTICED_SHARE * smaller_ml:
                continue
            found.append(
                Finding(
                    DOUBT,
                    "contours-overlap",
                    f'contours "{first}" and "{second}"',
                    f"they share {shared_ml:.1f} mL, {100.0 * shared_ml / smaller_ml:.0f} % of the smaller one, "
                    "expected them apart",
                    "Draw them apart, or say why; the shared part counts in both",
                )
            )
    return found


def _shared_ml(first: Volume, second: Volume) -> tuple[float, float]:
    """Volume that two contours share, and that of the smaller one."""
    sizes = [float(np.count_nonzero(v.array)) * v.geometry.voxel_volume_ml for v in (first, second)]
    smaller, other = (first, second) if sizes[0] <= sizes[1] else (second, first)
    apart = np.any(
        (smaller.geometry.corners_lps_mm().min(axis=0) > other.geometry.corners_lps_mm().max(axis=0))
        | (smaller.geometry.corners_lps_mm().max(axis=0) < other.geometry.corners_lps_mm().min(axis=0))
    )
    if apart:
        return 0.0, min(sizes)
    if same_grid(smaller.geometry, other.geometry):
        shared = float(np.count_nonzero(smaller.array & other.array)) * smaller.geometry.voxel_volume_ml
        return shared, min(sizes)
    return _share_inside(smaller, other) * min(sizes), min(sizes)
