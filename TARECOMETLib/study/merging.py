"""Study files of several sites into one; what contradicts is listed, never chosen in silence."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError
from .database import StudyDatabase
from .schema import TABLES, Value

OURS, THEIRS = "ours", "theirs"


@dataclass(frozen=True)
class Conflict:
    """One field of one row that two studies hold different values of."""

    table: str
    key: tuple[Value, ...]
    field: str
    ours: Value
    theirs: Value

    def sentence(self) -> str:
        """One line."""
        return f"{self.table} {' '.join(map(str, self.key))}, {self.field}: {self.ours} here, {self.theirs} there"


@dataclass(frozen=True)
class Merged:
    """What a merge did."""

    added: int
    filled: int
    changed: int
    same: int
    conflicts: tuple[Conflict, ...]


def conflicts_of(target: StudyDatabase, source: StudyDatabase) -> list[Conflict]:
    """Fields that both studies hold, with different values."""
    found = []
    for table in TABLES.values():
        ours = {tuple(row[k] for k in table.keys): row for row in target.rows(table.name)}
        for row in source.rows(table.name):
            key = tuple(row[k] for k in table.keys)
            if key in ours:
                found += [
                    Conflict(table.name, key, name, ours[key][name], value)
                    for name, value in row.items()
                    if value is not None and ours[key][name] is not None and ours[key][name] != value
                ]
    return found


def merge(target: StudyDatabase, source: StudyDatabase, prefer: str = "") -> Merged:
    """Bring another study's rows into this one, all or none.

    Parameters
    ----------
    target, source : StudyDatabase
    prefer : str
        ours or theirs: whose value stays where both hold one; empty refuses the merge where that happens.

    Raises
    ------
    InputError
        Where values contradict and ``prefer`` is empty.
    """
    if prefer not in ("", OURS, THEIRS):
        raise InputError("--prefer", f'there is no "{prefer}"', "Choose ours or theirs")
    if target.path.resolve() == source.path.resolve():
        raise InputError(str(source.path), "it is the same study", "Name another one")
    conflicts = conflicts_of(target, source)
    if conflicts and not prefer:
        raise MergeConflicts(source, conflicts)
    added = filled = changed = same = 0
    with target.transaction(f"merge {source.path.name} data sha256:{source.content_sha256()[:16]}"):
        for table in TABLES.values():
            for row in source.rows(table.name):
                key = [row[k] for k in table.keys]
                old = target.row(table.name, *key)
                values = {n: v for n, v in row.items() if v is not None}
                if old is None:
                    target.put(table.name, values)
                    added += 1
                    continue
                gaps = {n: v for n, v in values.items() if old[n] is None}
                differing = (
                    {n: v for n, v in values.items() if old[n] is not None and old[n] != v} if prefer == THEIRS else {}
                )
                if gaps or differing:
                    target.put(table.name, {**{k: row[k] for k in table.keys}, **gaps, **differing})
                filled, changed = filled + len(gaps), changed + len(differing)
                same += not gaps and not differing
    return Merged(added, filled, changed, same, tuple(conflicts))


class MergeConflicts(InputError):
    """A merge that was refused, with every conflict."""

    def __init__(self, source: StudyDatabase, conflicts: list[Conflict]) -> None:
        self.conflicts = conflicts
        more = f"; {len(conflicts) - 1} more" if len(conflicts) > 1 else ""
        super().__init__(
            str(source.path),
            f"it contradicts: {conflicts[0].sentence()}{more}; nothing was merged",
            "Correct one of them, or say --prefer ours or theirs",
            "conflict",
        )
