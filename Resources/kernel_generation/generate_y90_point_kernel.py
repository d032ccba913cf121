"""Generate the yttrium-90 dose point kernels that TARECOMET ships.

A point source of beta particles at the center of a homogeneous sphere of 100 cm * g/mL is simulated with penRed
(the C++ form of PENELOPE 2018, from the Python package ``pyPenred``). The energy left in concentric shells is
scored, the result is smoothed where, and only as far as, its statistical uncertainty allows, and the table is written
as a CSV file with its provenance in the header.

Two steps can be run apart: ``--raw`` keeps the tallies of the simulation, ``--from-raw`` makes the table from them
again without a new simulation.

Radii are mass thicknesses, density times length, in mm * g/mL. In water of 1 g/mL they are millimeters.

References
----------
Salvat F. PENELOPE-2018: a code system for Monte Carlo simulation of electron and photon transport. OECD/NEA 2019.
Gimenez-Alventosa V, Gimenez Gomez V, Oliver S. PenRed: an extensible and parallel Monte-Carlo framework for radiation
transport based on PENELOPE. Comput Phys Commun 2021;267:108065. doi:10.1016/j.cpc.2021.108065.
ICRP Publication 107: nuclear decay data for dosimetric calculations. Ann ICRP 2008;38(3).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

NUCLIDE = "Y-90"
SPECTRUM_BIN_MEV = 0.01
LOWEST_EMITTED_ENERGY_MEV = 1e-4

# Absorption energies, and the C1, C2, WCC and WCR that control the mixed simulation of PENELOPE.
ELECTRON_ABSORPTION_EV = 20e3
PHOTON_ABSORPTION_EV = 1e3
ELASTIC_C1 = 0.02
ELASTIC_C2 = 0.02
HARD_COLLISION_EV = 5e3
HARD_BREMSSTRAHLUNG_EV = 1e3
LONGEST_STEP_MM_G_ML = 0.1

SPHERE_RADIUS_MM_G_ML = 1000.0

# Spherical tallies: name -> (outermost radius, shell width) in mm * g/mL. The wider tallies are scored, not summed
# from the narrower, because shells that one electron crosses are correlated and their sigmas cannot be added.
TALLIES = {"fine": (20.0, 0.1), "medium": (20.0, 1.0), "coarse": (1000.0, 5.0), "wide": (1000.0, 50.0)}


# Shells of the table: (tally, from, to) in mm * g/mL.
TABLE_ZONES = (("fine", 0.0, 12.0), ("medium", 12.0, 20.0), ("coarse", 20.0, 100.0), ("wide", 100.0, 1000.0))

# The spline is fitted over a wider range than it replaces, so that its free ends lie outside the table's zone.
SMOOTHED_ZONE_MM_G_ML = (8.0, 12.0)
FITTED_ZONE_MM_G_ML = (7.0, 14.0)
LARGEST_CUMULATIVE_SHIFT = 1e-5

# Weight of the integral of (second derivative of log energy)^2 against chi-square, in (mm g/mL)^3. With weights of
# 1/sigma^2 it states how curved the true kernel may be, and does not depend on the number of histories. Between 0.3 and
# 3 two independent runs of 4e6 histories predict each other equally well; above 10 the bend at 11 mm g/mL is flattened.
SMOOTHING_PENALTY = 3.0


@dataclass(frozen=True)
class Medium:
    """A homogeneous medium of the simulation.

    Parameters
    ----------
    title : str
        What the header of the table calls it.
    penelope_number : int
        Number in the material list of PENELOPE.
    density_g_ml : float
        Mass density of the run; the listed one is replaced.
    """

    title: str
    penelope_number: int
    density_g_ml: float


MEDIA = {
    "water": Medium("liquid water (PENELOPE material 278, I = 78 eV)", 278, 1.000),
    "soft-tissue": Medium("soft tissue, ICRU four-component (PENELOPE material 263, I = 74.9 eV)", 263, 1.06),
}


@dataclass(frozen=True)
class Spectrum:
    """Beta spectrum integrated in energy bins.

    Parameters
    ----------
    edges_mev : numpy.ndarray, shape (n + 1,)
        Bin edges in MeV.
    probability : numpy.ndarray, shape (n,)
        Probability of each bin; the sum is 1.
    """

    edges_mev: np.ndarray
    probability: np.ndarray

    @property
    def mean_mev(self) -> float:
        """Mean energy in MeV of a histogram that is flat within each bin, as penRed samples it."""
        return float(np.sum(self.probability * (self.edges_mev[1:] + self.edges_mev[:-1]) / 2))


def read_spectrum() -> Spectrum:
    """Read the ICRP-107 beta spectrum from ``icrp107-database`` and integrate it in 10 keV bins.

    The tabulated spectrum is coarse above 1 MeV (steps of 0.1 to 0.2 MeV), so it is interpolated by a cubic spline:
    straight lines would lower the mean energy by 0.18 %.

    Returns
    -------
    Spectrum
        The binned spectrum, normalized to 1.
    """
    from icrp107_database import get_icrp107_spectrum
    from scipy.interpolate import CubicSpline

    data = get_icrp107_spectrum(NUCLIDE, "b-spectra")
    energy_mev = np.asarray(data["energies"], dtype=float)
    integral = CubicSpline(energy_mev, np.asarray(data["weights"], dtype=float)).antiderivative()
    edges = np.arange(0.0, energy_mev[-1], SPECTRUM_BIN_MEV)
    if energy_mev[-1] - edges[-1] < 0.5 * SPECTRUM_BIN_MEV:
        edges = edges[:-1]
    edges = np.append(edges, energy_mev[-1])
    probability = np.maximum(np.diff(integral(edges)), 0.0)
    edges[0] = LOWEST_EMITTED_ENERGY_MEV
    return Spectrum(edges, probability / probability.sum())


def write_penred_spectrum(spectrum: Spectrum, path: Path) -> None:
    """Write the histogram file of penRed's FILE_SPECTRUM source: lower edge in eV and probability of each bin."""
    lines = [f"# {NUCLIDE} beta spectrum, ICRP-107, cubic spline, {SPECTRUM_BIN_MEV * 1e3:g} keV bins"]
    lines += [
        f"{edge * 1e6:.6e} {probability:.8e}"
        for edge, probability in zip(spectrum.edges_mev[:-1], spectrum.probability, strict=True)
    ]
    lines.append(f"{spectrum.edges_mev[-1] * 1e6:.6e} -1")
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def write_material(medium: Medium, path: Path) -> None:
    """Create the PENELOPE material file and set its density.

    The density is not a parameter of the listed materials (listed water has 0.9982 g/mL), so the one line of the
    file that holds it is replaced.
    """
    from pyPenred import simulation

    simulation.materials.createListed(medium.penelope_number, str(path))
    text, count = re.subn(
        r"(Mass density =\s*)[0-9.E+-]+",
        lambda match: f"{match.group(1)}{medium.density_g_ml:.8E}",
        path.read_text(encoding="latin-1"),
        count=1,
    )
    if count != 1:
        raise RuntimeError(f"No mass density in the material file of PENELOPE material {medium.penelope_number}.")
    path.write_text(text, encoding="latin-1")


def write_sphere(radius_cm: float, path: Path) -> None:
    """Write the quadric geometry file of one sphere of material 1, centered at the origin (fixed-format text)."""
    separator = "0" * 64
    lines = ["X" * 64, "   Homogeneous sphere", separator]
    lines += ["SURFACE (   1)   Sphere", "INDICES=( 1, 1, 1, 0,-1)"]
    lines += [f"{axis}-SCALE=(+{radius_cm:.15E},   0)              (DEFAULT=1.0)" for axis in "XYZ"]
    lines += [separator, "BODY    (   1)   sphere", "MATERIAL(   1)", "SURFACE (   1), SIDE POINTER=(-1)", separator]
    lines.append("END      " + "0" * 55)
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def penred_configuration(medium: Medium, histories: int, seed: int) -> str:
    """Return the configuration text of penRed for the point source; lengths in cm, energies in eV."""
    cm_per_mm_g_ml = 0.1 / medium.density_g_ml
    values: dict[str, object] = {
        "sources/generic/beta/nhist": float(histories),
        "sources/generic/beta/kpar": "electron",
        "sources/generic/beta/direction/type": "SOLID_ANGLE",
        "sources/generic/beta/direction/u": 0.0,
        "sources/generic/beta/direction/v": 0.0,
        "sources/generic/beta/direction/w": 1.0,
        "sources/generic/beta/direction/theta0": 0.0,
        "sources/generic/beta/direction/theta1": 180.0,
        "sources/generic/beta/direction/phi0": 0.0,
        "sources/generic/beta/direction/dphi": 360.0,
        "sources/generic/beta/energy/type": "FILE_SPECTRUM",
        "sources/generic/beta/energy/filename": "beta.spc",
        "sources/generic/beta/spatial/type": "POINT",
        "sources/generic/beta/spatial/position/x": 0.0,
        "sources/generic/beta/spatial/position/y": 0.0,
        "sources/generic/beta/spatial/position/z": 0.0,
        "geometry/type": "PEN_QUADRIC",
        "geometry/input-file": "sphere.geo",
        "geometry/processed-geo-file": "sphere_report.geo",
        "geometry/dsmax/1": LONGEST_STEP_MM_G_ML * cm_per_mm_g_ml,
        "materials/medium/number": 1,
        "materials/medium/eabs/electron": ELECTRON_ABSORPTION_EV,
        "materials/medium/eabs/positron": ELECTRON_ABSORPTION_EV,
        "materials/medium/eabs/gamma": PHOTON_ABSORPTION_EV,
        "materials/medium/C1": ELASTIC_C1,
        "materials/medium/C2": ELASTIC_C2,
        "materials/medium/WCC": HARD_COLLISION_EV,
        "materials/medium/WCR": HARD_BREMSSTRAHLUNG_EV,
        "materials/medium/filename": "medium.mat",
        "tallies/total/type": "EDEP_MAT",
        "tallies/total/nmat": 1,
        "simulation/threads": 1,
        "simulation/seedPair": seed,
        "simulation/ascii-results": False,
        "simulation/dump-results": False,
        "simulation/finalDump": False,
    }
    for name, (radius, width) in TALLIES.items():
        values[f"tallies/{name}/type"] = "SPHERICAL_DOSE_DISTRIB"
        values[f"tallies/{name}/print-xyz"] = True
        values[f"tallies/{name}/rmin"] = 0.0
        values[f"tallies/{name}/rmax"] = radius * cm_per_mm_g_ml
        values[f"tallies/{name}/nr"] = round(radius / width)
    return "".join(f"{key} {_penred_value(value)}\n" for key, value in values.items())


def _penred_value(value: object) -> str:
    """Write one value in penRed's configuration syntax: text in double quotes, lower-case booleans."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return repr(value)


def simulate(medium: Medium, spectrum: Spectrum, histories: int, seed: int) -> dict[str, np.ndarray]:
    """Run penRed and return the energy per decay of every tally.

    Parameters
    ----------
    medium : Medium
        The medium of the sphere.
    spectrum : Spectrum
        The energies of the source.
    histories : int
        Number of beta particles.
    seed : int
        Index of a seed pair of penRed, 0 to 1000.

    Returns
    -------
    dict of str to numpy.ndarray
        For each tally ``<name>_mev`` and ``<name>_sigma_mev``: energy per decay in MeV and its standard deviation,
        one value per shell from the center outward; ``total`` is the whole sphere.
    """
    from pyPenred import simulation

    start_folder = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        # penRed opens its files by the names in the configuration, and writes its reports beside them.
        os.chdir(folder)
        try:
            write_penred_spectrum(spectrum, Path("beta.spc"))
            write_material(medium, Path("medium.mat"))
            write_sphere(0.1 * SPHERE_RADIUS_MM_G_ML / medium.density_g_ml, Path("sphere.geo"))
            simulation.setConfigurationLog("configuration.log")
            simulation.setSimulationLog("simulation.log")
            simulator = simulation.create()
            simulator.configFromString(penred_configuration(medium, histories, seed))
            start = time.time()
            simulator.simulate(True)
            while simulator.isSimulating():
                time.sleep(1.0)
            seconds = time.time() - start
            results = simulator.getResults()
            if not results:
                raise RuntimeError(f"penRed gave no result:\n{Path('configuration.log').read_text()[-2000:]}")
            tallies = {name: [np.array(part).ravel() for part in results[name][0].data()[:2]] for name in results}
        finally:
            os.chdir(start_folder)
    print(f"{histories} histories in {seconds:.0f} s, {histories / seconds:.0f} per second")
    raw = {"seconds": np.array(seconds)}
    for name, (value, sigma) in tallies.items():
        # Spherical tallies give dose in eV/g per history, the material tally gives eV per history.
        scale = 1e-6 * (shell_mass_g(medium, name) if name in TALLIES else 1.0)
        raw[f"{name}_mev"] = value * scale
        raw[f"{name}_sigma_mev"] = sigma * scale
    return raw


def shell_edges(name: str) -> np.ndarray:
    """Return the shell edges of a tally in mm * g/mL."""
    radius, width = TALLIES[name]
    return np.linspace(0.0, radius, round(radius / width) + 1)


def shell_mass_g(medium: Medium, name: str) -> np.ndarray:
    """Return the mass in g of each shell of a tally."""
    edges_cm = 0.1 * shell_edges(name) / medium.density_g_ml
    return 4.0 / 3.0 * np.pi * np.diff(edges_cm**3) * medium.density_g_ml


@dataclass(frozen=True)
class KernelTable:
    """The shells of the shipped table.

    Parameters
    ----------
    edges_mm_g_ml : numpy.ndarray, shape (n + 1,)
        Shell edges, density times radius.
    fraction, sigma, raw : numpy.ndarray, shape (n,)
        Share of the emitted mean energy that stays in each shell (smoothed), the standard deviation of the raw
        value, and the raw value.
    smoothing : str
        What the smoothing did, for the header.
    """

    edges_mm_g_ml: np.ndarray
    fraction: np.ndarray
    sigma: np.ndarray
    raw: np.ndarray
    smoothing: str


def build_table(raw: dict[str, np.ndarray], mean_mev: float) -> KernelTable:
    """Join the tallies to one table and smooth the end of the beta range.

    Parameters
    ----------
    raw : dict of str to numpy.ndarray
        Result of `simulate`.
    mean_mev : float
        Emitted mean energy in MeV; fractions are relative to it.

    Returns
    -------
    KernelTable
        Shells of 0.1, 1, 5 and 50 mm * g/mL, as in `TABLE_ZONES`.
    """
    edges, value, sigma = [np.array([0.0])], [], []
    for name, low, high in TABLE_ZONES:
        tally_edges = shell_edges(name)
        chosen = (tally_edges[:-1] > low - 1e-6) & (tally_edges[1:] < high + 1e-6)
        edges.append(tally_edges[1:][chosen])
        value.append(raw[f"{name}_mev"][chosen] / mean_mev)
        sigma.append(raw[f"{name}_sigma_mev"][chosen] / mean_mev)
    all_edges = np.concatenate(edges)
    all_raw = np.concatenate(value)
    smooth, note = smooth_range_end(shell_edges("fine"), raw["fine_mev"] / mean_mev, raw["fine_sigma_mev"] / mean_mev)
    fraction = all_raw.copy()
    replaced = _inside(all_edges, SMOOTHED_ZONE_MM_G_ML)
    fraction[replaced] = smooth[_inside(shell_edges("fine"), SMOOTHED_ZONE_MM_G_ML)]
    return KernelTable(all_edges, fraction, np.concatenate(sigma), all_raw, note)


def _inside(edges: np.ndarray, zone: tuple[float, float]) -> np.ndarray:
    """Return which shells lie inside a zone of mass thickness."""
    return (edges[:-1] > zone[0] - 1e-6) & (edges[1:] < zone[1] + 1e-6)


def smooth_range_end(edges: np.ndarray, value: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, str]:
    """Smooth the shells at the end of the beta range, where their sigma exceeds half a per cent.

    A cubic smoothing spline is fitted to the logarithm of the shell energies, weighted by their variances. An electron
    crosses several 0.1 mm shells, so neighbors share their noise and scatter by less than their sigmas: a penalty
    that gives a chi-square of 1 per shell would bend the curve away from the data; see `SMOOTHING_PENALTY`. The energy
    of the zone is kept exactly.

    Parameters
    ----------
    edges : numpy.ndarray, shape (n + 1,)
        Shell edges in mm * g/mL.
    value, sigma : numpy.ndarray, shape (n,)
        Energy fraction of each shell and its standard deviation.

    Returns
    -------
    numpy.ndarray, shape (n,)
        The energy fractions, changed in `SMOOTHED_ZONE_MM_G_ML` alone.
    str
        A sentence about the fit.
    """
    from scipy.interpolate import make_smoothing_spline

    fitted = _inside(edges, FITTED_ZONE_MM_G_ML)
    zone = _inside(edges, SMOOTHED_ZONE_MM_G_ML)
    if np.any(value[fitted] <= 0.0):
        return value.copy(), "none: a shell of the zone is empty, more histories are needed"
    center = (edges[1:] + edges[:-1]) / 2
    weight = (value[fitted] / sigma[fitted]) ** 2
    spline = make_smoothing_spline(center[fitted], np.log(value[fitted]), w=weight, lam=SMOOTHING_PENALTY)
    smooth = value.copy()
    smooth[zone] = np.exp(spline(center[zone]))
    smooth[zone] *= value[zone].sum() / smooth[zone].sum()

    shift = np.abs(np.cumsum(smooth - value)).max()
    if shift > LARGEST_CUMULATIVE_SHIFT or np.any(np.diff(smooth[zone]) >= 0.0):
        return value.copy(), "none: the spline moves the energy too far or does not fall, more histories are needed"
    chi_square = np.mean(((smooth - value)[zone] / sigma[zone]) ** 2)
    change = np.abs(smooth / value - 1.0)[zone]
    return smooth, (
        f"{SMOOTHED_ZONE_MM_G_ML[0]:g} to {SMOOTHED_ZONE_MM_G_ML[1]:g} mm g/mL, weighted cubic smoothing spline of"
        f" log(energy), penalty {SMOOTHING_PENALTY:g}; chi-square per shell {chi_square:.2f}; largest change of the"
        f" cumulative fraction {shift:.1e}, of a shell {100 * change[center[zone] < 10].max():.1f} % below and"
        f" {100 * change.max():.1f} % beyond 10 mm g/mL"
    )


def write_table(path: Path, table: KernelTable, header: list[tuple[str, str]]) -> None:
    """Write the CSV file: header as ``# key: value`` lines, column names, one line per shell."""
    lines = [f"# {key}: {value}" for key, value in header]
    lines.append("inner_radius_mm_g_ml,outer_radius_mm_g_ml,energy_fraction,sigma_energy_fraction,raw_energy_fraction")
    lines += [
        f"{inner:.1f},{outer:.1f},{fraction:.7e},{sigma:.3e},{raw:.7e}"
        for inner, outer, fraction, sigma, raw in zip(
            table.edges_mm_g_ml[:-1], table.edges_mm_g_ml[1:], table.fraction, table.sigma, table.raw, strict=True
        )
    ]
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")
    unfinished.replace(path)


def table_header(raw: dict[str, np.ndarray], table: KernelTable) -> list[tuple[str, str]]:
    """Return the provenance lines of a table."""
    medium = MEDIA[str(raw["medium"])]
    mean_mev = float(raw["mean_mev"])
    deposited = float(raw["total_mev"][0]), float(raw["total_sigma_mev"][0])
    transport = (
        f"absorption at {ELECTRON_ABSORPTION_EV / 1e3:g} keV (electrons), {PHOTON_ABSORPTION_EV / 1e3:g} keV (photons);"
        f" C1 = C2 = {ELASTIC_C1:g}; WCC {HARD_COLLISION_EV / 1e3:g} keV, WCR {HARD_BREMSSTRAHLUNG_EV / 1e3:g} keV;"
        f" steps at most {LONGEST_STEP_MM_G_ML:g} mm g/mL"
    )
    return [
        ("title", f"{NUCLIDE} beta dose point kernel, energy per shell around a point source"),
        ("medium", medium.title),
        ("density_g_ml", f"{medium.density_g_ml:.3f}"),
        ("radii", "mass thickness, density times radius, mm g/mL; inside a shell the energy is uniform in radius"),
        ("energy_fraction", "of the emitted mean energy, in the shell; not renormalized; smoothed as said below"),
        ("sigma_energy_fraction", "one standard deviation of raw_energy_fraction"),
        ("emitted_mean_energy_mev", f"{mean_mev:.6f}"),
        ("spectrum", f"ICRP-107 beta spectrum, PyPI icrp107-database {raw['icrp107']}, cubic spline, 10 keV bins"),
        ("code", f"penRed (PENELOPE 2018), PyPI pyPenred {raw['pypenred']}, generate_y90_point_kernel.py"),
        ("histories", str(int(raw["histories"]))),
        ("seed", str(int(raw["seed"]))),
        ("transport", transport),
        ("sphere_radius_mm_g_ml", f"{SPHERE_RADIUS_MM_G_ML:g}"),
        ("deposited_in_sphere_mev", f"{deposited[0]:.5f} +- {deposited[1]:.5f} per decay"),
        ("smoothing", table.smoothing),
        ("licence", "Apache-2.0 (this table)"),
    ]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--medium", choices=sorted(MEDIA), default="water", help="medium of the sphere")
    parser.add_argument("--histories", type=float, default=4e6, help="number of beta particles (default 4e6)")
    parser.add_argument("--seed", type=int, default=417, help="seed pair of penRed, 0 to 1000 (default 417)")
    parser.add_argument("--out", type=Path, required=True, help="CSV file to write")
    parser.add_argument("--raw", type=Path, help="also keep the tallies of the run in this .npz file")
    parser.add_argument("--from-raw", type=Path, help="make the table from this .npz file, without a simulation")
    arguments = parser.parse_args()
    # Beyond the last pair penRed falls back to pair 0 without a word.
    if not 0 <= arguments.seed <= 1000:
        parser.error("--seed: penRed has the seed pairs 0 to 1000")
    if arguments.histories < 1:
        parser.error("--histories: at least 1")
    for path in (arguments.out, arguments.raw):
        if path is not None and not path.resolve().parent.is_dir():
            parser.error(f"{path}: the folder does not exist")
    return arguments


def main() -> None:
    """Simulate, or read an earlier simulation, and write the table."""
    arguments = parse_arguments()
    if arguments.from_raw:
        with np.load(arguments.from_raw) as file:
            raw = {name: file[name] for name in file.files}
    else:
        spectrum = read_spectrum()
        raw = simulate(MEDIA[arguments.medium], spectrum, int(arguments.histories), arguments.seed)
        raw |= {
            "medium": np.array(arguments.medium),
            "histories": np.array(int(arguments.histories)),
            "seed": np.array(arguments.seed),
            "mean_mev": np.array(spectrum.mean_mev),
            "pypenred": np.array(importlib.metadata.version("pyPenred")),
            "icrp107": np.array(importlib.metadata.version("icrp107-database")),
        }
    if arguments.raw:
        np.savez(arguments.raw, **raw)
    table = build_table(raw, float(raw["mean_mev"]))
    write_table(arguments.out, table, table_header(raw, table))
    print(f"{arguments.out}: {len(table.fraction)} shells, sum {table.fraction.sum():.6f}; smoothing {table.smoothing}")


if __name__ == "__main__":
    main()
