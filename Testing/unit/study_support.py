"""What the tests of the study share: the reference cohort, small studies, simulated cohorts."""

from __future__ import annotations

import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from TARECOMETLib.study.database import StudyDatabase, create_study
from TARECOMETLib.study.importing import read_file, write_plans

COHORT = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "study-a"
requires_cohort = unittest.skipUnless(COHORT.is_dir(), "needs the reference cohort in ../shared/data/study-a")


class StudyTestCase(unittest.TestCase):
    """A folder, and an empty study in it."""

    def setUp(self) -> None:
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def new_study(self, name: str = "trial.study") -> StudyDatabase:
        study = create_study(self.folder / name, "tester")
        self.addCleanup(study.close)
        return study

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def reference_study(self) -> StudyDatabase:
        study = self.new_study()
        write_plans(study, [read_file(COHORT / "patients.csv"), read_file(COHORT / "lesions.csv")])
        return study
