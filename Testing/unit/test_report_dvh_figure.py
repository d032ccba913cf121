"""DVH pictures: what is drawn, and that colors and marks tell compartments apart."""

from __future__ import annotations

import tempfile
import unittest
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from test_report_content import NASTY, sample_content
from test_report_overlay import read_png

from TARECOMETLib.dosimetry.dvh import make_dvh
from TARECOMETLib.report.dvh_figure import COLORS, MARKERS, MOST_PER_PANEL, panel_names, write_dvh_figure


class DvhFigureTestCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "dvh.png"

    def test_picture_is_written_for_every_method_and_name(self) -> None:
        content = sample_content(list(NASTY))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for method in ("local", "kernel"):
                write_dvh_figure(self.path, content.phases, method)
        picture = read_png(self.path)
        self.assertEqual(picture.shape[1], 1606)
        self.assertGreater(picture.std(), 5.0)

    def test_same_content_gives_the_same_bytes(self) -> None:
        content = sample_content()
        write_dvh_figure(self.path, content.phases)
        first = self.path.read_bytes()
        write_dvh_figure(self.path, content.phases)
        self.assertEqual(self.path.read_bytes(), first)

    def test_nothing_to_draw_is_no_error(self) -> None:
        write_dvh_figure(self.path, [])
        self.assertTrue(self.path.exists())

    def test_compartment_with_negative_doses_alone_is_no_error(self) -> None:
        phase = sample_content().phases[0]
        below = {"kernel": make_dvh(np.array([-1.0, -0.5]), np.ones(2), 1.05)}
        entries = tuple(replace(entry, dvh=below) for entry in phase.compartments)
        write_dvh_figure(self.path, [replace(phase, compartments=entries)])
        self.assertTrue(self.path.exists())

    def test_panels_hold_at_most_eight_and_count_the_rest(self) -> None:
        content = sample_content([f"t{n}" for n in range(15)])
        names, left_out = panel_names(content.phases, True, "local")
        self.assertEqual((len(names), left_out), (MOST_PER_PANEL, 8))
        self.assertEqual(names[0], "All tumours")

    def test_normal_tissues_have_both_reference_volumes_and_nothing_mixed(self) -> None:
        names, _ = panel_names(sample_content().phases, False, "local")
        self.assertEqual(names, ["Whole normal liver", "Normal perfused liver", "Non-perfused liver"])

    def test_there_are_a_color_and_a_mark_for_each(self) -> None:
        self.assertEqual(len(set(COLORS)), MOST_PER_PANEL)
        self.assertEqual(len(set(MARKERS)), MOST_PER_PANEL)


if __name__ == "__main__":
    unittest.main()
