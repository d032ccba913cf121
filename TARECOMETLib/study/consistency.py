"""What in the study file contradicts itself, is missing or doubtful."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from .database import Row, StudyDatabase
from .schema import TUMOUR, WHOLE_NORMAL

BLOCK, DOUBT, NOTE = "block", "doubt", "note"


@dataclass(frozen=True)
class Inconsistency:
    """Something wrong (block), doubtful (doubt) or worth knowing (note), with its mend."""

    severity: str
    code: str
    where: str
    message: str
    mend: str

    def sentence(self) -> str:
        """One line."""
        return f"{self.where}: {self.message}. {self.mend}."


def inconsistencies(study: StudyDatabase, patients: Collection[str] | None = None) -> list[Inconsistency]:
    """All that is wrong in the study or in some of its patients, worst first."""
    by_patient: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for table in (
        "treatments",
        "compartments",
        "doses",
        "lesion_visits",
        "progressions",
        "other_events",
        "toxicities",
        "patient_visits",
        "laboratory",
        "reild",
    ):
        for row in study.rows(table):
            by_patient[str(row["patient_id"])][table].append(row)
    found: list[Inconsistency] = []
    for row in study.rows("patients"):
        name = str(row["patient_id"])
        if patients is None or name in patients:
            found += _dates(row, by_patient[name])
            found += _doses(name, by_patient[name])
    rank = {BLOCK: 0, DOUBT: 1, NOTE: 2}
    return sorted(found, key=lambda f: rank[f.severity])


def _day(value: object) -> date | None:
    return date.fromisoformat(str(value)) if value else None


def _dates(patient: Row, tables: dict[str, list[Row]]) -> list[Inconsistency]:
    name = str(patient["patient_id"])
    found = []
    treated = [day for row in tables["treatments"] if (day := _day(row["date"]))]
    death, last = _day(patient["death_date"]), _day(patient["last_contact_date"])
    if not treated:
        found.append(
            Inconsistency(
                DOUBT, "no-treatment-date", name, "there is no treatment date", "Add it: all times count from it"
            )
        )
    start = min(treated, default=None)
    for word, day in (("death", death), ("last contact", last)):
        if start and day and day < start:
            found.append(
                Inconsistency(
                    BLOCK,
                    "before-treatment",
                    name,
                    f"{word} on {day} is before the treatment on {start}",
                    "Correct one of the dates",
                )
            )
    if death and last and last > death:
        found.append(
            Inconsistency(
                BLOCK,
                "after-death",
                name,
                f"last contact on {last} is after death on {death}",
                "Correct one of the dates",
            )
        )
    for table in (
        "progressions",
        "other_events",
        "lesion_visits",
        "patient_visits",
        "toxicities",
        "laboratory",
        "reild",
    ):
        for row in tables[table]:
            day = _day(row["date"])
            if day is None:
                continue
            if death and day > death:
                found.append(
                    Inconsistency(
                        BLOCK,
                        "after-death",
                        f"{name}, {table}",
                        f"{day} is after death on {death}",
                        "Correct one of the dates",
                    )
                )
            if table == "progressions" and start and day < start:
                found.append(
                    Inconsistency(
                        BLOCK,
                        "before-treatment",
                        f"{name}, {table}",
                        f"{day} is before the treatment on {start}",
                        "Correct one of the dates",
                    )
                )
            if table == "progressions" and last and day > last:
                found.append(
                    Inconsistency(
                        DOUBT,
                        "after-last-contact",
                        f"{name}, {table}",
                        f"{day} is after last contact on {last}",
                        "Correct one of the dates",
                    )
                )
    if death is None and last is None:
        found.append(
            Inconsistency(
                DOUBT,
                "no-last-contact",
                name,
                "neither death nor last contact is known",
                "Add it: times are censored there",
            )
        )
    return found


def _doses(name: str, tables: dict[str, list[Row]]) -> list[Inconsistency]:
    found = []
    kinds = {str(row["name"]): row for row in tables["compartments"]}
    tumours = [n for n, row in kinds.items() if row["kind"] == TUMOUR]
    dosed = {(row["name"], row["phase"]) for row in tables["doses"] if row["mean_gy"] is not None}
    without = [t for t in tumours if (t, "post") not in dosed]
    if tumours and without:
        found.append(
            Inconsistency(
                DOUBT,
                "no-post-dose",
                name,
                f"{len(without)} of {len(tumours)} tumours have no delivered dose",
                "Add it, or they are left out",
            )
        )
    if not tumours:
        found.append(Inconsistency(DOUBT, "no-tumour", name, "there is no tumour", "Import the lesions"))
    if not any(n == WHOLE_NORMAL or row["kind"] == WHOLE_NORMAL for n, row in kinds.items()):
        found.append(
            Inconsistency(
                NOTE, "no-normal-liver", name, "there is no dose of the whole normal liver", "Add it for the safe dose"
            )
        )
    for tumour in tumours:
        if kinds[tumour]["volume_ml"] is None and kinds[tumour]["mass_g"] is None:
            found.append(
                Inconsistency(
                    DOUBT,
                    "no-mass",
                    f"{name}, {tumour}",
                    "neither volume nor mass is known",
                    "Add one: patient doses are mass-weighted",
                )
            )
        if kinds[tumour]["is_dose_defined"]:
            found.append(
                Inconsistency(
                    NOTE,
                    "dose-defined",
                    f"{name}, {tumour}",
                    "it was drawn on the image whose dose it reports",
                    "It is out of the primary analysis",
                )
            )
    return found
