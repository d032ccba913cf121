"""What is wrong or doubtful about a case, worst first, each with its mend."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError

BLOCK, DOUBT, NOTE = "block", "doubt", "note"
_ORDER = {BLOCK: 0, DOUBT: 1, NOTE: 2}


@dataclass(frozen=True)
class Finding:
    """One remark.

    Parameters
    ----------
    severity : str
        ``block`` stops the calculation, ``doubt`` needs a person's reason, ``note`` informs.
    code : str
        Stable machine name; a doubt is accepted under it.
    where : str
        Image, contour or field.
    message : str
        What is the matter, expected and actual.
    mend : str
    accepted : str or None
        The person's reason, where one was given.
    """

    severity: str
    code: str
    where: str
    message: str
    mend: str = ""
    accepted: str | None = None

    def sentence(self) -> str:
        """One line."""
        text = f"{self.where}: {self.message.rstrip('.')}."
        return f"{text} {self.mend.rstrip('.')}." if self.mend else text


def from_error(error: InputError) -> Finding:
    """A refusal as a blocking finding."""
    return Finding(BLOCK, error.code, error.where, error.problem, error.mend)


def sort_findings(findings: list[Finding], accepted: dict[str, str]) -> list[Finding]:
    """Worst first; doubts that were accepted carry the reason."""
    marked = [
        Finding(f.severity, f.code, f.where, f.message, f.mend, accepted.get(f.code)) if f.severity == DOUBT else f
        for f in findings
    ]
    return sorted(marked, key=lambda f: _ORDER[f.severity])


def refuse_blocks(findings: list[Finding]) -> None:
    """Raise the first blocking finding as an error; the sentence says how many more there are."""
    blocks = [f for f in findings if f.severity == BLOCK]
    if blocks:
        more = f" ({len(blocks) - 1} more: run `tarecomet case check`)" if len(blocks) > 1 else ""
        raise InputError(
            blocks[0].where, blocks[0].message, (blocks[0].mend or "See the documentation") + more, blocks[0].code
        )
