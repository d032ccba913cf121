"""The study file: one SQLite database that two may write to, that survives a kill and says who changed what."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from ..errors import InputError
from .schema import OUTCOME_TABLES, SCHEMA_VERSION, TABLES, Value, check_value, create_statements

APPLICATION_ID = 0x54415245  # "TARE": tells the file from any other SQLite database
_BUSY_MS = 30_000
Row = dict[str, Value]
Migration = Callable[[sqlite3.Connection], None]
# MIGRATIONS[n] brings a file from schema version n to n + 1.
MIGRATIONS: dict[int, Migration] = {}


class StudyDatabase:
    """An open study file. Made by ``create_study`` and ``open_study``."""

    def __init__(self, path: Path, connection: sqlite3.Connection, who: str) -> None:
        self.path = path
        self.who = who
        self._connection = connection
        self._how = ""

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def __enter__(self) -> StudyDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self, how: str) -> Iterator[None]:
        """All changes inside happen together or not at all.

        Parameters
        ----------
        how : str
            What made the changes, for the audit trail: a command, an imported file with its hash.
        """
        with _plain_errors(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            self._how = how
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._how = ""

    def put(self, table: str, row: Mapping[str, Value]) -> int:
        """Add a row or change fields of the one with its key; what is not named stays. Returns the number of changes.

        Raises
        ------
        InputError
            Where a value is not allowed or the row's patient or compartment is not there.
        """
        self._require_transaction()
        description = TABLES[table]
        values = {name: check_value(table, name, value) for name, value in row.items()}
        for name in description.keys:
            if values.get(name) is None:
                raise InputError(f"{table}.{name}", "it is missing", "Every row needs it")
        key = [values[name] for name in description.keys]
        where = " AND ".join(f"{name} = ?" for name in description.keys)
        with _plain_errors(self.path):
            found = self._connection.execute(f"SELECT * FROM {table} WHERE {where}", key).fetchone()
            old = dict(found) if found is not None else None
            if old is None:
                self._insert(table, values)
                self._audit(table, key, "", None, json.dumps(values, ensure_ascii=False))
                return 1
            changed = {n: v for n, v in values.items() if n not in description.keys and v != old[n]}
            for name, value in changed.items():
                self._connection.execute(f"UPDATE {table} SET {name} = ? WHERE {where}", [value, *key])
                self._audit(table, key, name, _text(old[name]), _text(value))
            return len(changed)

    def _insert(self, table: str, values: Row) -> None:
        columns = ", ".join(values)
        try:
            self._connection.execute(
                f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(values))})", list(values.values())
            )
        except sqlite3.IntegrityError:
            parent = TABLES[TABLES[table].parent]
            raise InputError(
                f"{table} {' '.join(str(values[k]) for k in TABLES[table].keys)}",
                f"there is no such row in {parent.name}",
                f"Add the {', '.join(parent.keys)} first",
                "no-parent",
            ) from None

    def remove(self, table: str, key: Mapping[str, Value]) -> bool:
        """Take a row out; the audit trail keeps it. Returns whether it was there."""
        self._require_transaction()
        names = TABLES[table].keys
        values = [key[name] for name in names]
        where = " AND ".join(f"{name} = ?" for name in names)
        with _plain_errors(self.path):
            found = self._connection.execute(f"SELECT * FROM {table} WHERE {where}", values).fetchone()
            if found is None:
                return False
            try:
                self._connection.execute(f"DELETE FROM {table} WHERE {where}", values)
            except sqlite3.IntegrityError:
                raise InputError(
                    f"{table} {' '.join(map(str, values))}", "other rows belong to it", "Take those out first"
                ) from None
            self._audit(table, values, "", json.dumps(dict(found), ensure_ascii=False), None)
            return True

    def rows(self, table: str) -> list[Row]:
        """All rows of a table, ordered by key."""
        with _plain_errors(self.path):
            order = ", ".join(TABLES[table].keys)
            return [dict(r) for r in self._connection.execute(f"SELECT * FROM {table} ORDER BY {order}")]

    def row(self, table: str, *key: Value) -> Row | None:
        """One row by its key."""
        where = " AND ".join(f"{name} = ?" for name in TABLES[table].keys)
        with _plain_errors(self.path):
            found = self._connection.execute(f"SELECT * FROM {table} WHERE {where}", key).fetchone()
            return dict(found) if found is not None else None

    def count(self, *tables: str) -> int:
        """Number of rows in tables."""
        with _plain_errors(self.path):
            return sum(int(self._connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0]) for t in tables)

    def audit_rows(self) -> list[Row]:
        """Every change ever made: number, time_utc, who, how, what (table), row_key, field, old, new."""
        with _plain_errors(self.path):
            return [dict(r) for r in self._connection.execute("SELECT * FROM audit ORDER BY number")]

    def setting(self, key: str) -> str | None:
        """A setting of the study."""
        with _plain_errors(self.path):
            found = self._connection.execute("SELECT value FROM settings WHERE key = ?", [key]).fetchone()
            return None if found is None else str(found[0])

    def set_setting(self, key: str, value: str) -> None:
        """Change a setting, inside a transaction."""
        self._require_transaction()
        old = self.setting(key)
        if old != value:
            self._connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", [key, value])
            self._audit("settings", [key], "value", old, value)

    def plans(self) -> list[Row]:
        """Locked plans in the order they were locked."""
        with _plain_errors(self.path):
            return [dict(r) for r in self._connection.execute("SELECT * FROM plans ORDER BY number")]

    def lock_plan(self, sha256: str, text: str) -> None:
        """Keep a plan's text for good, inside a transaction."""
        self._require_transaction()
        outcomes = self.count(*OUTCOME_TABLES)
        self._connection.execute(
            "INSERT INTO plans (sha256, text, locked_utc, who, outcome_rows) VALUES (?, ?, ?, ?, ?)",
            [sha256, text, _now(), self.who, outcomes],
        )

    def content_sha256(self) -> str:
        """Hash of all data rows; the audit trail and settings do not enter."""
        digest = hashlib.sha256()
        for table in TABLES:
            for row in self.rows(table):
                filled = {name: value for name, value in row.items() if value is not None}
                digest.update(json.dumps([table, filled], sort_keys=True).encode())
        return digest.hexdigest()

    def integrity_problems(self) -> list[str]:
        """What SQLite's full check finds; empty where all is well."""
        with _plain_errors(self.path):
            found = [str(r[0]) for r in self._connection.execute("PRAGMA integrity_check")]
            orphans = [tuple(r) for r in self._connection.execute("PRAGMA foreign_key_check")]
        return [line for line in found if line != "ok"] + [f"{r[0]}: a row without its {r[2]}" for r in orphans]

    def backup(self, target: Path) -> Path:
        """Copy the whole file while others may be writing to it."""
        aside = target.with_name(f".{target.name}.part{os.getpid()}")
        with _plain_errors(target):
            try:
                copy = sqlite3.connect(aside)
                try:
                    self._connection.backup(copy)
                finally:
                    copy.close()
                os.replace(aside, target)
            finally:
                aside.unlink(missing_ok=True)
        return target

    def _require_transaction(self) -> None:
        if not self._connection.in_transaction:
            raise RuntimeError("changes are made inside transaction()")

    def _audit(self, what: str, key: list[Value], field: str, old: str | None, new: str | None) -> None:
        self._connection.execute(
            "INSERT INTO audit (time_utc, who, how, what, row_key, field, old, new) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [_now(), self.who, self._how, what, json.dumps(key, ensure_ascii=False), field, old, new],
        )


def create_study(path: Path, who: str = "") -> StudyDatabase:
    """Make an empty study file where there is none."""
    if path.exists():
        raise InputError(
            str(path), "it exists already", "Choose another name, or use the study that is there", "exists"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part{os.getpid()}")
    with _plain_errors(path):
        try:
            connection = sqlite3.connect(aside, isolation_level=None)
            try:
                connection.execute("BEGIN")
                for statement in create_statements():
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                connection.execute("COMMIT")
            finally:
                connection.close()
            # Linked, not renamed: of two processes that make the same study at once, one is told that it exists.
            try:
                os.link(aside, path)
            except FileExistsError:
                raise InputError(str(path), "it exists already", "Use the study that is there", "exists") from None
            except OSError:  # a file system without links
                os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)
    return open_study(path, who)


def open_study(path: Path, who: str = "") -> StudyDatabase:
    """Open a study file: checked, and migrated after a backup where an older version wrote it.

    Parameters
    ----------
    path : Path
    who : str
        Name for the audit trail; the account's name where empty.
    """
    if not path.is_file():
        raise InputError(str(path), "there is no study here", "Make one with `tarecomet study init`", "no-file")
    with _plain_errors(path):
        writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
        # Where nothing can be written, no journal can be made either: the file is read as it stands.
        address = path.resolve().as_uri() + ("" if writable else "?mode=ro&immutable=1")
        connection = sqlite3.connect(address, timeout=_BUSY_MS / 1000.0, isolation_level=None, uri=True)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            _require_study(path, connection)
            if writable:
                connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            study = StudyDatabase(path, connection, who or _account())
            _migrate(study, connection)
        except BaseException:
            connection.close()
            raise
    return study


def _require_study(path: Path, connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise InputError(str(path), "it is no study file", "Make one with `tarecomet study init`", "not-a-study")
    problems = [str(r[0]) for r in connection.execute("PRAGMA quick_check(1)")]
    if problems != ["ok"]:
        raise InputError(
            str(path), f"it is damaged ({problems[0][:120]})", "Take the latest backup beside it", "damaged"
        )


def _migrate(study: StudyDatabase, connection: sqlite3.Connection) -> None:
    def version() -> int:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])

    if version() > SCHEMA_VERSION:
        raise InputError(
            str(study.path),
            f"its schema version is {version()}, expected at most {SCHEMA_VERSION}",
            "Install the newer TARECOMET that wrote it",
            "too-new",
        )
    while version() < SCHEMA_VERSION:
        old = version()
        if old not in MIGRATIONS:
            raise InputError(
                str(study.path), f"schema version {old} is not known", "Take a backup beside it", "unknown"
            )
        study.backup(study.path.with_name(f"{study.path.name}.backup-version-{old}"))
        with study.transaction(f"migration from version {old}"):
            if version() == old:  # else another process was faster
                MIGRATIONS[old](connection)
                connection.execute(f"PRAGMA user_version = {old + 1}")
                study._audit("schema", [], "version", str(old), str(old + 1))


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # an account without a name
        return "unknown"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def _text(value: Value) -> str | None:
    return None if value is None else str(value)


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    """SQLite's errors in words of the person's; nothing is lost in any of these."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        for sign, problem, mend, code in (
            (
                "full",
                "the disk is full; nothing of this change was written",
                "Free some space and repeat it",
                "disk-full",
            ),
            ("readonly", "it cannot be written to", "Check the permissions of the file and its folder", "read-only"),
            ("locked", "another process has been writing for long", "Try again when that has ended", "locked"),
            ("unable to open", "it cannot be opened", "Check the path and its permissions", "cannot-open"),
            ("not a database", "it is no study file", "Make one with `tarecomet study init`", "not-a-study"),
            ("malformed", "it is damaged", "Take the latest backup beside it", "damaged"),
            ("disk I/O", "the disk failed; nothing of this change was written", "Check the disk", "disk"),
        ):
            if sign in text:
                raise InputError(str(path), problem, mend, code) from None
        raise InputError(str(path), f"SQLite says: {text}", "Check the file", "sqlite") from None
