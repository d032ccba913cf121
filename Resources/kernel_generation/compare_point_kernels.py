"""Compare a shipped dose point kernel with a reference table: numbers on the console, and a figure.

The reference is a CSV file with one line per 0.1 mm shell. Its columns are found by name (outer radius in mm or cm;
energy as a fraction, or in MeV per decay); a file without column names is read as outer radius in mm, then energies in
MeV per decay, of which ``--column`` chooses one.

Example
-------
python compare_point_kernels.py y90_water.csv reference.csv --label "Graves 2019" --figure water_graves.png
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

# Column name -> factor to mm * g/mL, for water of 1 g/mL where the reference gives lengths.
RADIUS_COLUMNS = {"outer_radius_mm_g_ml": 1.0, "r_out_mm": 1.0, "r_outer_cm": 10.0}
FRACTION_COLUMN = "raw_energy_fraction"
ENERGY_COLUMNS = ("E_MeV_per_decay", "E_dep_MeV_per_decay")
ABSOLUTE_SIGMA_COLUMNS = ("sigma_E_MeV", "sigma_energy_fraction")
RELATIVE_SIGMA_COLUMNS = ("rel_uncertainty",)

# Beyond this radius only bremsstrahlung is left; X_p, the radius that holds p % of the energy, is relative to it.
BETA_RANGE_MM_G_ML = 11.0
X_PERCENTS = (50, 80, 90, 95, 99)
LISTED_RADII = (0.1, 0.5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)


@dataclass(frozen=True)
class Kernel:
    """Energy per shell around a point source.

    Parameters
    ----------
    outer_mm_g_ml : numpy.ndarray, shape (n,)
        Outer shell radii; the first shell begins at 0.
    fraction : numpy.ndarray, shape (n,)
        Energy of each shell as a share of the emitted mean energy.
    sigma : numpy.ndarray or None, shape (n,)
        Standard deviation of ``fraction``, if the file has it.
    smooth : numpy.ndarray, shape (n,)
        The smoothed fractions; the same as ``fraction`` if the file has none.
    """

    outer_mm_g_ml: np.ndarray
    fraction: np.ndarray
    sigma: np.ndarray | None
    smooth: np.ndarray

    def cumulative(self, radius: np.ndarray | float) -> np.ndarray:
        """Return the fraction inside a radius; inside a shell the energy is uniform in radius."""
        return np.interp(radius, np.r_[0.0, self.outer_mm_g_ml], np.r_[0.0, np.cumsum(self.fraction)])

    def radius_of_percent(self, percent: float) -> float:
        """Return the radius that holds a percentage of the energy inside `BETA_RANGE_MM_G_ML`."""
        target = percent / 100 * self.cumulative(BETA_RANGE_MM_G_ML)
        return float(np.interp(target, np.r_[0.0, np.cumsum(self.fraction)], np.r_[0.0, self.outer_mm_g_ml]))


def read_header_number(path: Path, key: str) -> float:
    """Return a number from the ``# key: value`` lines of a shipped table."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"# {key}:"):
            return float(line.split(":", 1)[1])
    raise SystemExit(f"{path.name}: no header line '{key}'")


def read_kernel(path: Path, mean_mev: float, column: int = 1) -> Kernel:
    """Read a kernel table.

    Parameters
    ----------
    path : pathlib.Path
        CSV file; lines that begin with ``#`` are comments.
    mean_mev : float
        Emitted mean energy in MeV, for tables that are in MeV per decay.
    column : int
        Energy column of a file without column names, counted from 0.

    Returns
    -------
    Kernel
        The kernel as fractions of the emitted mean energy.
    """
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    names = [name.strip() for name in lines[0].split(",")]
    if names[0][0].isdigit():
        values = np.array([line.split(",") for line in lines], dtype=float)
        fraction = values[:, column] / mean_mev
        return Kernel(values[:, 0], fraction, None, fraction)
    values = np.array([line.split(",") for line in lines[1:]], dtype=float)
    data = dict(zip(names, values.T, strict=True))
    radius_name = next((name for name in RADIUS_COLUMNS if name in data), None)
    energy_name = next((name for name in ENERGY_COLUMNS if name in data), None)
    if radius_name is None or (energy_name is None and FRACTION_COLUMN not in data):
        raise SystemExit(f"{path.name}: no known radius and energy columns among {', '.join(names)}")
    unit = 1.0 if energy_name is None else mean_mev
    fraction = data[energy_name or FRACTION_COLUMN] / unit
    sigma = None
    for name in ABSOLUTE_SIGMA_COLUMNS:
        if name in data:
            sigma = data[name] / unit
    for name in RELATIVE_SIGMA_COLUMNS:
        if name in data:
            sigma = data[name] * fraction
    return Kernel(
        data[radius_name] * RADIUS_COLUMNS[radius_name], fraction, sigma, data.get("energy_fraction", fraction)
    )


def common_shells(kernel: Kernel, reference: Kernel) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the shells from the center outward that both tables have."""
    count = min(len(kernel.outer_mm_g_ml), len(reference.outer_mm_g_ml))
    same = np.isclose(kernel.outer_mm_g_ml[:count], reference.outer_mm_g_ml[:count], atol=1e-6)
    count = count if same.all() else int(np.argmin(same))
    if count == 0:
        raise SystemExit("The tables have no shells in common.")
    return np.arange(count), kernel.outer_mm_g_ml[:count]


def with_assumed_sigma(reference: Kernel, kernel: Kernel, histories_ratio: float) -> Kernel:
    """Give a reference without sigmas those of the kernel, scaled to its number of histories.

    Parameters
    ----------
    reference, kernel : Kernel
        The table without, and the one with sigmas.
    histories_ratio : float
        Histories of the kernel over histories of the reference.

    Returns
    -------
    Kernel
        The reference with sigmas in the shells that both have, and NaN beyond.
    """
    if kernel.sigma is None:
        return reference
    shells, _ = common_shells(kernel, reference)
    sigma = np.full(len(reference.fraction), np.nan)
    sigma[shells] = kernel.sigma[shells] * np.sqrt(histories_ratio)
    return replace(reference, sigma=sigma)


def print_comparison(kernel: Kernel, reference: Kernel, label: str) -> None:
    """Print shells, cumulative fractions and percentage radii of both tables."""
    shells, outer = common_shells(kernel, reference)
    print(f"Reference: {label}; {len(shells)} common shells to {outer[-1]:.1f} mm g/mL")
    print("r_out   shell fraction  reference      ratio   sigma   cumulative  reference   difference")
    for radius in LISTED_RADII:
        i = int(np.argmin(np.abs(outer - radius)))
        if abs(outer[i] - radius) > 1e-6:
            continue
        ratio, sigma = _ratio(kernel, reference, np.array([i]))
        inside = float(kernel.cumulative(radius)), float(reference.cumulative(radius))
        print(
            f"{radius:5.1f}   {kernel.fraction[i]:.5e}     {reference.fraction[i]:.5e}  {ratio[0]:.4f}  {sigma[0]:.4f}"
            f"   {inside[0]:.6f}   {inside[1]:.6f}  {inside[0] - inside[1]:+.2e}"
        )
    beta = shells[outer <= BETA_RANGE_MM_G_ML + 1e-6]
    difference = kernel.cumulative(outer[beta]) - reference.cumulative(outer[beta])
    worst = int(np.argmax(np.abs(difference)))
    print(f"Largest cumulative difference {difference[worst]:+.2e} at {outer[beta][worst]:.1f} mm g/mL")
    ratio, sigma = _ratio(kernel, reference, beta)
    for low, high in ((0.0, 9.0), (9.0, BETA_RANGE_MM_G_ML)):
        chosen = (outer[beta] > low + 1e-6) & (outer[beta] <= high + 1e-6)
        pull = (ratio[chosen] - 1) / sigma[chosen]
        print(
            f"Shells {low:g} to {high:g}: ratio {ratio[chosen].min():.4f} to {ratio[chosen].max():.4f},"
            f" mean {ratio[chosen].mean():.5f}; chi-square per shell {np.mean(pull**2):.2f}"
        )
    for percent in X_PERCENTS:
        here, there = kernel.radius_of_percent(percent), reference.radius_of_percent(percent)
        print(f"X{percent}: {here:.3f}  reference {there:.3f} mm g/mL  ({100 * (here / there - 1):+.2f} %)")


def _ratio(kernel: Kernel, reference: Kernel, shells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ratio of raw shell energies, and its standard deviation as far as the files tell sigmas."""
    ratio = kernel.fraction[shells] / reference.fraction[shells]
    variance = np.zeros(len(shells))
    for table in (kernel, reference):
        if table.sigma is not None:
            filled = np.maximum(table.fraction[shells], np.finfo(float).tiny)
            variance += (table.sigma[shells] / filled) ** 2
    return ratio, ratio * np.sqrt(variance)


def draw_comparison(kernel: Kernel, reference: Kernel, names: tuple[str, str], path: Path) -> None:
    """Draw both kernels above their ratio and save the figure."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    shells, outer = common_shells(kernel, reference)
    width = np.diff(np.r_[0.0, outer])
    center = outer - width / 2
    figure, (above, below) = plt.subplots(
        2, 1, sharex=True, figsize=(7.0, 6.5), height_ratios=(2, 1), layout="constrained"
    )
    above.semilogy(center, kernel.smooth[shells] / width, color="tab:blue", label=names[0])
    above.semilogy(center, reference.fraction[shells] / width, color="tab:orange", linestyle="--", label=names[1])
    above.set_ylabel("energy fraction per mm g/mL")
    above.legend()
    ratio, sigma = _ratio(kernel, reference, shells)
    below.fill_between(center, 1 - 2 * sigma, 1 + 2 * sigma, color="0.85", label="1 ± 2 standard deviations")
    below.plot(center, ratio, ".", markersize=3, color="tab:blue", label="ratio of raw shells")
    below.axhline(1.0, color="0.4", linewidth=0.8)
    below.set_ylim(0.9, 1.1)
    below.set_xlabel("density times radius (mm g/mL)")
    below.set_ylabel("ratio")
    below.legend(loc="lower left")
    for axes in (above, below):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Read the command line, print the comparison and draw the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("kernel", type=Path, help="shipped table")
    parser.add_argument("reference", type=Path, help="reference table")
    parser.add_argument("--column", type=int, default=1, help="energy column of a file without names, from 0")
    parser.add_argument("--reference-histories", type=float, help="for a reference that has no standard deviations")
    parser.add_argument("--label", help="name of the reference (default: its file name)")
    parser.add_argument("--figure", type=Path, help="figure to write (.png, .svg, .pdf)")
    arguments = parser.parse_args()
    for path in (arguments.kernel, arguments.reference):
        if not path.is_file():
            parser.error(f"{path}: no such file")
    mean_mev = read_header_number(arguments.kernel, "emitted_mean_energy_mev")
    kernel = read_kernel(arguments.kernel, mean_mev)
    reference = read_kernel(arguments.reference, mean_mev, arguments.column)
    if reference.sigma is None and arguments.reference_histories:
        histories = read_header_number(arguments.kernel, "histories")
        reference = with_assumed_sigma(reference, kernel, histories / arguments.reference_histories)
    label = arguments.label or arguments.reference.stem
    print_comparison(kernel, reference, label)
    if arguments.figure:
        draw_comparison(kernel, reference, (arguments.kernel.stem, label), arguments.figure)


if __name__ == "__main__":
    main()
