"""Files damaged at random: whatever comes, either it is read or one clear sentence says why not."""

import json
import shutil
import tempfile
import unittest
from pathlib import Path

import numpy as np
from dicom_support import ct_folder, load, nm_folder, pet_folder, propose, ramp

from TARECOMETLib.case.checks import check_case
from TARECOMETLib.case.document import case_from_json, case_to_json
from TARECOMETLib.errors import TarecometError
from TARECOMETLib.imaging.image_files import write_image
from TARECOMETLib.imaging.volume import Volume

SEED = 90
VALUES = (None, True, -1, 0, 1e308, 10**400, "", "x", "2026-03-10", [], [1], {}, {"a": None}, "\ud800", "a\nb", "NaN")


def tiny_patient(folder):
    """A patient of a few voxels: every kind of file, in a tenth of a second."""
    volume = ramp((6, 8, 7))
    for make, name in ((ct_folder, "ct"), (nm_folder, "spect"), (pet_folder, "pet")):
        make(folder / name, volume)
    for name in ("liver", "right-lobe", "metastasis-1"):
        inside = np.zeros((6, 8, 7), dtype=np.uint8)
        inside[1:5, 2:6, 2:5] = 1
        write_image(folder / "contours" / f"{name}.nrrd", Volume(inside, volume.geometry))
    inside = Volume(inside, volume.geometry)
    write_image(folder / "contours" / "lungs.nii.gz", inside)
    write_image(folder / "contours" / "spleen.mha", inside)
    injection = {"territory": "right lobe", "vial_gbq": 1.7, "residual_gbq": 0.1, "time": "2026-04-14T14:05:00"}
    treatment = {
        "patient": "P",
        "lung_shunt_fraction_planar": 0.05,
        "injections": [injection],
        "resolution_fwhm_mm": {"pet": 6},
    }
    (folder / "treatment.json").write_text(json.dumps(treatment))
    return folder


def damaged(content, rng):
    """Bytes cut, flipped, doubled or overwritten."""
    data = bytearray(content)
    kind = int(rng.integers(5))
    at = int(rng.integers(len(data)))
    if kind == 0:
        return bytes(data[:at])
    if kind == 1:
        for place in rng.integers(len(data), size=20):
            data[int(place)] = int(rng.integers(256))
    elif kind == 2:
        data[at : at + 8] = bytes(int(x) for x in rng.integers(256, size=8))
    elif kind == 3:
        del data[at : at + int(rng.integers(1, 64))]
    else:
        head = int(rng.integers(min(len(data), 1200)))  # headers are where it hurts
        data[head] ^= 1 << int(rng.integers(8))
    return bytes(data)


def places(node, path=()):
    """Paths of all values in a JSON document."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def mutated(document, rng):
    """A JSON document with one value replaced, removed or renamed."""
    data = json.loads(json.dumps(document))
    found = list(places(data))
    path = found[int(rng.integers(len(found)))]
    place = data
    for part in path[:-1]:
        place = place[part]
    kind = int(rng.integers(4))
    if kind == 0 and isinstance(place, dict):
        place[f"{path[-1]}_"] = place.pop(path[-1])
    elif kind == 1 and isinstance(place, dict):
        del place[path[-1]]
    else:
        place[path[-1]] = VALUES[int(rng.integers(len(VALUES)))]
    return data


class TestDamagedFiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = tiny_patient(Path(scratch.name) / "patient")
        cls.made = propose(cls.folder)
        cls.refused = 0

    def attempt(self, action, what):
        """Run; anything but a refusal in one line is a failure."""
        try:
            action()
        except TarecometError as error:
            self.assertTrue(str(error).strip(), what)
            type(self).refused += 1
        except Exception as error:
            raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error

    def scan_and_load(self):
        made = propose(self.folder)
        inputs = load(made.case, made.files, self.folder)
        check_case(made.case, inputs)

    def test_whole_ones_are_read(self):
        self.scan_and_load()

    def test_of_dicom_and_images_never_raise_anything_but_a_refusal(self):
        rng = np.random.default_rng(SEED)
        paths = sorted(p for p in self.folder.rglob("*") if p.is_file() and p.suffix != ".json")
        before = self.refused
        for number in range(200):
            path = paths[int(rng.integers(len(paths)))]
            whole = path.read_bytes()
            try:
                path.write_bytes(damaged(whole, rng))
                self.attempt(self.scan_and_load, f"{number} {path.name}")
            finally:
                path.write_bytes(whole)
        self.assertGreater(self.refused - before, 60, "the damage was too gentle to prove anything")

    def test_of_treatment_json_never_raise_anything_but_a_refusal(self):
        rng = np.random.default_rng(SEED + 1)
        path = self.folder / "treatment.json"
        whole = path.read_text()
        self.addCleanup(path.write_text, whole)
        for number in range(50):
            path.write_text(json.dumps(mutated(json.loads(whole), rng)))
            self.attempt(self.scan_and_load, f"{number} {path.read_text()}")
        for number in range(20):
            path.write_bytes(damaged(whole.encode(), rng))
            self.attempt(self.scan_and_load, f"bytes {number}")

    def test_of_case_json_never_raise_anything_but_a_refusal(self):
        rng = np.random.default_rng(SEED + 2)
        whole = json.loads(case_to_json(self.made.case, self.made.files))
        whole["settings"]["tumour_tissue"] = {"alpha_beta_gy": 10.0, "repair_half_time_h": 2.5}
        whole["registration_lps"] = {"post": np.eye(4).tolist()}
        whole["accepted"] = {"liver-cut": "dome only"}

        def use(text):
            case, files = case_from_json(text, "case.json")
            case.sha256()
            case_to_json(case, files).encode("utf-8")
            check_case(case, load(case, files, self.folder))

        use(json.dumps(whole))
        before = self.refused
        for number in range(150):
            text = json.dumps(mutated(whole, rng))
            self.attempt(lambda t=text: use(t), f"{number} {text}")
        for number in range(30):
            text = damaged(json.dumps(whole).encode(), rng).decode("utf-8", "replace")
            self.attempt(lambda t=text: use(t), f"bytes {number}")
        self.assertGreater(self.refused - before, 60)

    def test_with_names_of_another_encoding_are_refused_or_read(self):
        """Latin-1, as old archives hold; SimpleITK aborts the interpreter on such names."""
        folder = self.folder.parent / "old"
        shutil.copytree(self.folder, folder)
        (folder / "ct").rename(folder / "L\udce4ber")
        made = propose(folder)
        case, files = case_from_json(case_to_json(made.case, made.files), "case.json")
        self.assertEqual(load(case, files, folder).findings, [])
        (folder / "contours" / "spleen.mha").rename(folder / "contours" / "L\udce4sion.mha")
        with self.assertRaises(TarecometError) as caught:
            propose(folder)
        str(caught.exception).encode("utf-8")
        self.assertIn("not UTF-8", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
