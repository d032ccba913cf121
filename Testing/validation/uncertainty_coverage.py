"""200 measurements of the phantom with every source of the budget drawn anew: do the 95 % intervals hold the truth?

Takes about five minutes: ``python Testing/validation/uncertainty_coverage.py [realisations]``. Prints Markdown; returns
1 where an interval of liver, normal liver or a lesion of at least 10 mL holds the truth less than 90 or more than 99 %
of the time, or is wider than 1.3 times the realised spread.
"""

from __future__ import annotations

import sys
from pathlib import Path

UNIT = Path(__file__).resolve().parents[1] / "unit"
sys.path.insert(0, str(UNIT))
MOST_WIDTH, LEAST_HELD, MOST_HELD = 1.3, 0.90, 0.99


def main(count: int) -> int:
    """Return 0 where every bar was met."""
    from uncertainty_realisations import coverage, make_ground

    ground = make_ground()
    missed = 0
    print("| phase | compartment | mL | truth held (%) | width / realised | half width (%) | mean bias (%) |")
    print("|---|---|---|---|---|---|---|")
    for kind in ("absolute", "relative"):
        for name, found in coverage(ground, kind, count, seed=20270).items():
            volume = ground.volume_ml(name)
            met = LEAST_HELD <= found.held <= MOST_HELD and found.width_ratio <= MOST_WIDTH
            counts = volume >= 10.0
            missed += counts and not met
            mark = "" if counts else " (below 10 mL)"
            print(
                f"| {kind} | {name}{mark} | {volume:.1f} | {100 * found.held:.1f} | {found.width_ratio:.2f} | "
                f"{found.width_percent:.1f} | {found.bias_percent:+.1f} |",
                flush=True,
            )
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
