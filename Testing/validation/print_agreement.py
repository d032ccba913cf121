"""Run the unit tests of physics and dosimetry and print how far each bar was from being missed, as Markdown.

The numbers of the README's validation table come from here: ``python Testing/validation/print_agreement.py``.
"""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

UNIT = Path(__file__).resolve().parents[1] / "unit"
sys.path.insert(0, str(UNIT))


def main() -> int:
    """Return 0 where every test passed."""
    from support import AGREEMENTS

    names = sorted(path.stem for path in UNIT.glob("test_*.py") if path.stem.startswith(("test_physics", "test_dosim")))
    suite = unittest.TestSuite(unittest.defaultTestLoader.loadTestsFromName(name) for name in names)
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=0).run(suite)
    print("| quantity | reference | deviation | allowed |")
    print("|---|---|---|---|")
    for row in sorted(AGREEMENTS, key=lambda item: (item.quantity, item.reference)):
        print(
            f"| {row.quantity} | {row.reference} | {row.deviation:+.2g} {row.unit} | {row.tolerance:.3g} {row.unit} |"
        )
    for test, reason in result.skipped:
        print(f"\nSkipped: {test.id()}: {reason}")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    raise SystemExit(main())
