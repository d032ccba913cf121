"""CSV tables: they come back as they went out, and the same content gives the same bytes."""

from __future__ import annotations

import csv
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

from test_report_content import NASTY, sample_content

from TARECOMETLib.errors import InputError
from TARECOMETLib.report.tables import (
    COMPARTMENT_COLUMNS,
    DVH_COLUMNS,
    compartment_rows,
    dvh_rows,
    write_compartments_csv,
    write_csv,
    write_dvh_csv,
)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class TablesTestCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "made" / "table.csv"

    def test_compartments_come_back(self) -> None:
        rows = compartment_rows(sample_content(list(NASTY)))
        write_compartments_csv(self.path, rows)
        back = read(self.path)
        self.assertEqual(tuple(back[0]), COMPARTMENT_COLUMNS)
        self.assertEqual(len(back), len(rows))
        for row, seen in zip(rows, back, strict=True):
            self.assertEqual(seen["compartment"], row["compartment"])
            for column in ("mean_gy", "d70_gy", "v100gy_percent"):
                if column in row:
                    self.assertAlmostEqual(float(seen[column]), row[column], delta=1e-6 * max(1.0, abs(row[column])))
                else:
                    self.assertEqual(seen[column], "")

    def test_one_row_for_each_phase_compartment_and_method(self) -> None:
        rows = compartment_rows(sample_content())
        keys = [(row["phase"], row["compartment"], row["method"]) for row in rows]
        self.assertEqual(len(keys), len(set(keys)))
        self.assertEqual({row["method"] for row in rows}, {"local", "kernel", "multicompartment"})

    def test_dvh_curves_fall_from_all_of_the_volume(self) -> None:
        rows = dvh_rows(sample_content(), points=50)
        write_dvh_csv(self.path, rows)
        back = read(self.path)
        self.assertEqual(tuple(back[0]), DVH_COLUMNS)
        curve = [row for row in back if (row["phase"], row["compartment"], row["method"]) == ("pre", "liver", "kernel")]
        volumes = [float(row["volume_percent"]) for row in curve]
        self.assertEqual((len(curve), volumes[0]), (50, 100.0))
        self.assertEqual(volumes, sorted(volumes, reverse=True))

    def test_same_rows_give_the_same_bytes(self) -> None:
        rows = compartment_rows(sample_content())
        write_compartments_csv(self.path, rows)
        first = self.path.read_bytes()
        write_compartments_csv(self.path, [dict(reversed(row.items())) for row in rows])
        self.assertEqual(self.path.read_bytes(), first)
        self.assertNotIn(b"\r", first)

    def test_results_that_are_out_of_date_say_so_in_every_row(self) -> None:
        rows = compartment_rows(replace(sample_content(), stale_reason="a contour was changed"))
        self.assertEqual({row["results"] for row in rows}, {"out of date"})

    def test_what_is_not_a_number_is_refused_and_leaves_the_old_file(self) -> None:
        write_csv(self.path, [{"dose_gy": 1.0}], ["dose_gy"])
        for value in (float("nan"), float("inf")):
            with self.assertRaises(InputError):
                write_csv(self.path, [{"dose_gy": value}], ["dose_gy"])
        self.assertEqual(self.path.read_text(), "dose_gy\n1\n")


if __name__ == "__main__":
    unittest.main()
