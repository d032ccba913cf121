"""RTSTRUCT and SEG: known shapes written by pydicom, read back by themselves and in a new case."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import pydicom
from dicom_support import RefusalMixin, coarse_case, coarse_patient, copy_of, load, propose
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from TARECOMETLib.imaging.dicom_contours import contours_frame_of_reference, fill_polygons, read_dicom_contours
from TARECOMETLib.imaging.geometry import VolumeGeometry, same_grid
from TARECOMETLib.imaging.volume import Volume

GRID = VolumeGeometry.from_components((9, 60, 50), spacing_mm=(1.5, 2.0, 3.0), origin_lps_mm=(-30.0, 12.0, 100.0))


def item(**values):
    dataset = Dataset()
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


def save(dataset, path, sop_class):
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, sop_class
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta = meta
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = generate_uid(), generate_uid()
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def write_rtstruct(path, structures, frame="1.2.3"):
    """Structures by name as lists of polygons in LPS."""
    dataset = item(Modality="RTSTRUCT", PatientID="P")
    dataset.ReferencedFrameOfReferenceSequence = [item(FrameOfReferenceUID=frame)]
    dataset.StructureSetROISequence = [
        item(ROINumber=n, ROIName=name, ReferencedFrameOfReferenceUID=frame) for n, name in enumerate(structures, 1)
    ]
    dataset.ROIContourSequence = [
        item(
            ReferencedROINumber=n,
            ContourSequence=[
                item(
                    ContourGeometricType="CLOSED_PLANAR",
                    NumberOfContourPoints=len(points),
                    ContourData=[f"{x:.3f}" for x in np.ravel(points)],
                )
                for points in polygons
            ],
        )
        for n, polygons in enumerate(structures.values(), 1)
    ]
    return save(dataset, path, "1.2.840.10008.5.1.4.1.1.481.3")


def circle(radius_mm, center, z, points=200):
    angle = np.linspace(0.0, 2.0 * np.pi, points, endpoint=False)
    return np.c_[center[0] + radius_mm * np.cos(angle), center[1] + radius_mm * np.sin(angle), np.full(points, z)]


def slice_polygons(volume):
    """Pixel borders of a label map as one rectangle a run of voxels: an exact RTSTRUCT of any shape."""
    polygons = []
    matrix = volume.geometry.ijk_to_lps
    for k, j in np.argwhere(volume.array.any(axis=2)):
        runs = np.flatnonzero(np.diff(np.r_[0, volume.array[k, j].astype(int), 0]))
        for low, high in runs.reshape(-1, 2):
            corners = [(low - 0.5, j - 0.5), (high - 0.5, j - 0.5), (high - 0.5, j + 0.5), (low - 0.5, j + 0.5)]
            polygons.append(np.array([(matrix @ [i, y, k, 1.0])[:3] for i, y in corners]))
    return polygons


class TestFilling(RefusalMixin, unittest.TestCase):
    CENTER = (7.0, 70.0)

    def z(self, k):
        return 100.0 + 3.0 * k

    def test_of_a_circle_has_its_area_and_a_hole_is_left_out(self):
        outer, inner = circle(20.0, self.CENTER, self.z(4)), circle(8.0, self.CENTER, self.z(4))
        # Pixel centers within the radius, counted directly; four may lie on the border of the polygon of 200 corners.
        y, x = 12.0 + 2.0 * np.arange(60)[:, None], -30.0 + 1.5 * np.arange(50)[None, :]
        away = np.hypot(x - self.CENTER[0], y - self.CENTER[1])
        self.assertAlmostEqual(int(fill_polygons([outer], GRID, "x").sum()), int((away < 20.0).sum()), delta=4)
        ring = fill_polygons([outer, inner], GRID, "x")
        self.assertAlmostEqual(int(ring.sum()), int(((away < 20.0) & (away > 8.0)).sum()), delta=6)
        keyhole = np.concatenate([outer, outer[:1], inner[::-1], inner[-1:]])
        self.assertAlmostEqual(fill_polygons([keyhole], GRID, "x").sum() / ring.sum(), 1.0, delta=0.02)

    def test_of_every_second_slice_fills_those_between(self):
        array = fill_polygons([circle(r, self.CENTER, self.z(k)) for k, r in ((1, 10.0), (3, 20.0))], GRID, "x")
        sizes = array.sum(axis=(1, 2)) * 3.0
        self.assertEqual(list(np.flatnonzero(sizes)), [1, 2, 3])
        self.assertAlmostEqual(sizes[2] / (np.pi * 225.0), 1.0, delta=0.1)  # half way: 15 mm, by whole pixels
        apart = fill_polygons([circle(9.0, self.CENTER, self.z(k)) for k in (0, 7)], GRID, "x")
        self.assertEqual(list(np.flatnonzero(apart.any(axis=(1, 2)))), [0, 7])

    def test_on_a_turned_grid_is_the_same_set_of_voxels(self):
        rng = np.random.default_rng(5)
        wanted = np.zeros(GRID.shape_kji, dtype=bool)
        wanted[2:7, 10:40, 8:30] = rng.random((5, 30, 22)) > 0.4
        turn = np.array([[0.8, 0.6, 0.0], [-0.6, 0.8, 0.0], [0.0, 0.0, -1.0]])
        grid = VolumeGeometry.from_components(
            GRID.shape_kji, spacing_mm=(1.5, 2.0, 3.0), origin_lps_mm=(5.0, 6.0, 7.0), direction_lps=turn
        )
        np.testing.assert_array_equal(fill_polygons(slice_polygons(Volume(wanted, grid)), grid, "x"), wanted)

    def test_of_oblique_or_far_contours_is_refused(self):
        tilted = circle(20.0, self.CENTER, self.z(4))
        tilted[:, 2] += 0.3 * (tilted[:, 0] - 7.0)
        self.assert_refused(lambda: fill_polygons([tilted], GRID, "x"), "slices", code="oblique-contours")
        far = circle(20.0, self.CENTER, 900.0)
        self.assert_refused(lambda: fill_polygons([far], GRID, "x"), "outside", code="outside-image")


class TestFiles(RefusalMixin, unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def seg(self, volumes, fractional=False):
        """A SEG with frames for the filled slices only, last slice first."""
        frames, pixels = [], []
        for number, volume in enumerate(volumes.values(), 1):
            matrix = volume.geometry.ijk_to_lps
            for k in np.flatnonzero(volume.array.any(axis=(1, 2)))[::-1]:
                position = (matrix @ [0.0, 0.0, float(k), 1.0])[:3]
                frames.append(
                    item(
                        SegmentIdentificationSequence=[item(ReferencedSegmentNumber=number)],
                        PlanePositionSequence=[item(ImagePositionPatient=[f"{x:.4f}" for x in position])],
                    )
                )
                pixels.append(volume.array[k])
        geometry = next(iter(volumes.values())).geometry
        dataset = item(Modality="SEG", PatientID="P", FrameOfReferenceUID="1.2.3", NumberOfFrames=len(frames))
        dataset.SegmentSequence = [item(SegmentNumber=n, SegmentLabel=name) for n, name in enumerate(volumes, 1)]
        x, y, z = geometry.spacing_mm
        dataset.SharedFunctionalGroupsSequence = [
            item(
                PixelMeasuresSequence=[item(PixelSpacing=[y, x], SliceThickness=z)],
                PlaneOrientationSequence=[
                    item(ImageOrientationPatient=geometry.direction_lps[:, :2].T.ravel().tolist())
                ],
            )
        ]
        dataset.PerFrameFunctionalGroupsSequence = frames
        dataset.Rows, dataset.Columns = geometry.shape_kji[1:]
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
        stored = np.array(pixels)
        if fractional:
            dataset.SegmentationType, dataset.MaximumFractionalValue = "FRACTIONAL", 200
            dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
            data = np.where(stored, 180, 60).astype(np.uint8).tobytes()
        else:
            dataset.SegmentationType = "BINARY"
            dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 1, 0
            data = np.packbits(stored.ravel(), bitorder="little").tobytes()
        dataset.PixelData = data + b"\0" * (len(data) % 2)
        dataset["PixelData"].VR = "OB"
        return save(dataset, self.folder / "seg.dcm", "1.2.840.10008.5.1.4.1.1.66.4")

    def shapes(self):
        first, second = np.zeros(GRID.shape_kji, dtype=bool), np.zeros(GRID.shape_kji, dtype=bool)
        first[2:7, 10:30, 10:25], second[3:5, 15:22, 12:20] = True, True
        return {"liver": Volume(first, GRID), "metastasis 1": Volume(second, GRID)}

    def test_of_seg_come_back_on_their_own_grid(self):
        for fractional in (False, True):
            shapes = self.shapes()
            found = dict(read_dicom_contours(self.seg(shapes, fractional), None))
            self.assertEqual(list(found), list(shapes))
            for name, volume in found.items():
                self.assertEqual(int(volume.array.sum()), int(shapes[name].array.sum()))
                self.assertAlmostEqual(volume.geometry.origin_lps_mm[2], 100.0 + 3.0 * 2)
                np.testing.assert_array_equal(volume.array, shapes[name].array[2:7])

    def test_of_rtstruct_come_back_on_the_images_grid_and_empty_ones_are_left_out(self):
        shapes = self.shapes()
        structures = {name: slice_polygons(volume) for name, volume in shapes.items()} | {"empty": []}
        path = write_rtstruct(self.folder / "rs.dcm", structures)
        self.assertEqual(contours_frame_of_reference(path), "1.2.3")
        found = dict(read_dicom_contours(path, GRID))
        self.assertEqual(list(found), list(shapes))
        for name, volume in found.items():
            self.assertTrue(same_grid(volume.geometry, GRID))
            np.testing.assert_array_equal(volume.array, shapes[name].array)
        self.assert_refused(lambda: read_dicom_contours(path, None), "image is missing")

    def test_damaged_at_random_are_read_or_refused(self):
        for whole in (
            self.seg(self.shapes()),
            write_rtstruct(self.folder / "rs.dcm", {"a": [circle(9.0, (7.0, 70.0), 103.0)]}),
        ):
            content, rng = whole.read_bytes(), np.random.default_rng(6)
            for _ in range(60):
                data = bytearray(content)
                for place in rng.integers(132, len(data), size=4):
                    data[int(place)] = int(rng.integers(256))
                if rng.random() < 0.3:
                    data = data[: int(rng.integers(132, len(data)))]
                whole.write_bytes(bytes(data))
                try:
                    contours_frame_of_reference(whole)
                    read_dicom_contours(whole, GRID)
                except ValueError as error:
                    self.assertTrue(str(error).strip())


class TestANewCase(RefusalMixin, unittest.TestCase):
    def test_with_contours_in_rtstruct_is_the_one_with_label_maps(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        folder = copy_of(coarse_patient(), Path(scratch.name) / "patient")
        made, loaded = coarse_case()
        for path in (folder / "contours").glob("*"):
            path.unlink()
        frame = made.case.images["diagnostic"].frame_of_reference_uid
        structures = {c.name: slice_polygons(loaded.contours[c.name]) for c in made.case.contours}
        write_rtstruct(folder / "contours" / "rs.dcm", structures, frame)

        def own_patient(dataset):
            dataset.PatientID = made.case.images["diagnostic"].patient_id

        dataset = pydicom.dcmread(folder / "contours" / "rs.dcm")
        own_patient(dataset)
        dataset.save_as(folder / "contours" / "rs.dcm")
        again = propose(folder)
        self.assertEqual({c.name: c.role for c in again.case.contours}, {c.name: c.role for c in made.case.contours})
        inputs = load(again.case, again.files, folder)
        self.assertEqual(inputs.findings, [])
        for name, volume in inputs.contours.items():
            drawn = loaded.contours[name]
            self.assertEqual(int(volume.array.sum()) * volume.geometry.voxel_volume_ml > 0, True)
            np.testing.assert_allclose(
                volume.array.sum() * volume.geometry.voxel_volume_ml,
                drawn.array.sum() * drawn.geometry.voxel_volume_ml,
                rtol=0.02,
            )
        write_rtstruct(folder / "contours" / "rs.dcm", structures, "9.9.9")
        self.assert_refused(lambda: propose(folder), "frame of reference", code="other-frame")


if __name__ == "__main__":
    unittest.main()
