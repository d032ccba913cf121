"""Who may import whom: read from the source of every module, then tried in a bare interpreter."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "TARECOMETLib"
COMPUTED = "<computed name>"

NUMERIC = {"numpy", "scipy"}
GENERAL = NUMERIC | {"SimpleITK", "pydicom", "matplotlib", "typst"}
STATISTICS = {"lifelines", "pandas", "pyarrow"}
SCENE = {"slicer", "vtk", "vtkmodules"}
QT = {"qt", "ctk"}
APPLICATION = {"mrmlScene", "app", "modules"}

# What everybody may import from the library, and for each package what it may import beside itself:
# the library's packages or modules, then packages from outside. A new package needs a line here.
SHARED = {"errors", "units"}
FILES = {"files"}
GRID = {"imaging.geometry", "imaging.volume"}
BELOW_CASE = {"physics", "imaging", "dosimetry", "planning", "comparison", "report", "study", "phantom"}
# What `tarecomet bench` measures against.
PEERS = {"dicompylercore", "torch", "pymedphys", "numba"}

MAY_IMPORT: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "units": (set(), set()),
    "files": (set(), set()),
    "physics": (set(), NUMERIC),
    "imaging": ({"physics"} | FILES, GENERAL),  # the decay of an image needs the nuclide's half-life
    "dosimetry": ({"physics"} | GRID, NUMERIC),
    "planning": ({"physics", "dosimetry"} | GRID, NUMERIC),
    "comparison": ({"physics", "dosimetry"} | GRID, NUMERIC),
    "report": ({"physics", "imaging", "dosimetry"} | FILES, GENERAL),
    "study": ({"physics", "imaging", "dosimetry", "comparison", "report"} | FILES, GENERAL | STATISTICS),
    "phantom": ({"physics", "imaging"} | FILES, GENERAL),
    "case": (BELOW_CASE | FILES, GENERAL | {"distributed"}),
    "mrml": (BELOW_CASE | FILES | {"case"}, GENERAL | SCENE),
    "cli": (
        BELOW_CASE | FILES | {"case", "mrml"},
        GENERAL | {"typer", "rich"} | PEERS,
    ),
    "__main__": ({"cli"}, set()),
}


class Import(NamedTuple):
    """One import, by whatever means, with its place."""

    name: str
    line: int
    in_function: bool


def module_files() -> dict[str, Path]:
    """Every module of the library by its dotted name."""
    files = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


MODULES = module_files()


class ImportFinder(ast.NodeVisitor):
    """Collects imports, also those made by a call or through ``sys.modules``."""

    def __init__(self, module: str, is_package: bool) -> None:
        self.package = module.split(".") if is_package else module.split(".")[:-1]
        self.found: list[Import] = []
        self.depth = 0

    def add(self, name: str, node: ast.AST) -> None:
        self.found.append(Import(name, getattr(node, "lineno", 0), self.depth > 0))

    def absolute(self, name: str, level: int) -> str:
        if level == 0:
            return name
        base = self.package[: len(self.package) - (level - 1)]
        return ".".join(base + ([name] if name else []))

    def visit_FunctionDef(self, node: ast.AST) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.add(alias.name, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = self.absolute(node.module or "", node.level)
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            self.add(COMPUTED if inner == "sys.modules" else inner if inner in MODULES else base, node)

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if name in {"import_module", "__import__"}:
            self.add_constant(node.args[0] if node.args else None, node)
        elif isinstance(function, ast.Attribute) and is_sys_modules(function.value) and node.args:
            self.add_constant(node.args[0], node)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if is_sys_modules(node.value):
            self.add_constant(node.slice, node)
        self.generic_visit(node)

    def add_constant(self, value: ast.AST | None, node: ast.AST) -> None:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            name = value.value.lstrip(".")
            self.add(self.absolute(name, len(value.value) - len(name)), node)
        elif not (isinstance(value, ast.Name) and value.id == "__name__"):
            self.add(COMPUTED, node)


def is_sys_modules(node: ast.AST) -> bool:
    """Whether an expression is ``sys.modules``."""
    return isinstance(node, ast.Attribute) and node.attr == "modules" and getattr(node.value, "id", "") == "sys"


def imports_of(module: str, source: str, is_package: bool = False) -> list[Import]:
    """Every import in the source of a module."""
    finder = ImportFinder(module, is_package)
    finder.visit(ast.parse(source))
    return finder.found


def is_within(name: str, packages: set[str]) -> bool:
    """Whether a dotted name is one of the packages or stands inside one."""
    return any(name == package or name.startswith(package + ".") for package in packages)


def violations(module: str, source: str, is_package: bool = False) -> Iterator[str]:
    """One line for each import that the layers do not allow."""
    own = module.split(".")[1] if "." in module else ""
    inside, outside = MAY_IMPORT.get(own, (set(), set()))
    for name, line, in_function in imports_of(module, source, is_package):
        root, _, rest = name.partition(".")
        if name == COMPUTED:
            yield f"{module}:{line}: imports a name computed at run time, so nobody can check it"
        elif root == PACKAGE:
            if rest and not is_within(rest, inside | SHARED | {own}):
                yield f"{module}:{line}: {own or PACKAGE} may not import {rest}"
            elif own == "cli" and is_within(rest, {"mrml"}) and not in_function:
                yield f"{module}:{line}: cli may import mrml inside functions only"
        elif root not in sys.stdlib_module_names and root not in outside:
            yield f"{module}:{line}: {own or PACKAGE} may not import {root}"


def application_uses(module: str, source: str) -> Iterator[str]:
    """One line for each use of the running application's singletons."""
    tree = ast.parse(source)
    names = {"slicer"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname for alias in node.names if alias.name == "slicer" and alias.asname}
    for node in ast.walk(tree):
        used = ""
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in names:
            used = node.attr
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "slicer":
            parts = {alias.name for alias in node.names} | set((node.module or "").split(".")[1:])
            used = next(iter(parts & APPLICATION), "")
        elif isinstance(node, ast.Import):
            used = next((a.name.split(".")[1] for a in node.names if a.name.startswith("slicer.")), "")
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "getattr" and len(node.args) > 1:
            owner, attribute = node.args[:2]
            if getattr(owner, "id", "") in names and isinstance(attribute, ast.Constant):
                used = str(attribute.value)
        if used in APPLICATION:
            yield f"{module}:{getattr(node, 'lineno', 0)}: slicer.{used} is for TARECOMET/ only"


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter, in the repository's root."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


class SourceLayersTestCase(unittest.TestCase):
    def test_every_module_imports_downward_only(self) -> None:
        found = [
            line
            for module, path in MODULES.items()
            for line in violations(module, path.read_text(encoding="utf-8"), path.name == "__init__.py")
        ]
        self.assertEqual(found, [], "\n" + "\n".join(found))

    def test_every_package_has_a_rule(self) -> None:
        packages = {module.split(".")[1] for module in MODULES if "." in module}
        self.assertLessEqual(packages, set(MAY_IMPORT))

    def test_package_files_import_nothing_heavy(self) -> None:
        for module, path in MODULES.items():
            if path.name == "__init__.py":
                roots = {
                    found.name.split(".")[0] for found in imports_of(module, path.read_text(encoding="utf-8"), True)
                }
                with self.subTest(module=module):
                    self.assertLessEqual(roots, set(sys.stdlib_module_names))

    def test_running_application_is_named_in_the_module_only(self) -> None:
        found = [
            line
            for module, path in MODULES.items()
            for line in application_uses(module, path.read_text(encoding="utf-8"))
        ]
        self.assertEqual(found, [], "\n" + "\n".join(found))

    def test_module_file_imports_nothing_heavy_at_file_scope(self) -> None:
        allowed = set(sys.stdlib_module_names) | QT | {"slicer", "vtk", "TARECOMETPanel"}
        folder = ROOT / "TARECOMET"
        for path in sorted(folder.rglob("*.py")):
            module = ".".join(path.relative_to(folder).with_suffix("").parts)
            for name, line, in_function in imports_of(module, path.read_text(encoding="utf-8")):
                if not in_function:
                    with self.subTest(file=path.name, line=line):
                        self.assertTrue(name == PACKAGE or name.split(".")[0] in allowed, name)


class CheckerTestCase(unittest.TestCase):
    """The checks themselves: each forbidden way is seen, allowed ones are not."""

    def test_each_way_to_import_is_seen(self) -> None:
        for code in (
            "import vtk",
            "from vtkmodules.vtkCommonCore import vtkObject",
            "import importlib\nimportlib.import_module('slicer')",
            "from importlib import import_module\nimport_module('slicer')",
            "__import__('qt')",
            "import sys\nsys.modules['slicer']",
            "import sys\nsys.modules.get('ctk')",
            "def f():\n    import vtk",
            "def f(name):\n    return __import__(name)",
            "from sys import modules",
            "from ..imaging import geometry",
            "from .. import units, mrml",
            "import importlib\nimportlib.import_module('..mrml', __package__)",
        ):
            with self.subTest(code=code):
                self.assertTrue(list(violations(f"{PACKAGE}.physics.example", code)))

    def test_allowed_imports_pass(self) -> None:
        for package, code in (
            ("dosimetry", "import numpy as np\nfrom ..imaging.geometry import VolumeGeometry\nfrom .. import units"),
            ("dosimetry", "from ..imaging import volume\nfrom ..errors import InputError\nfrom . import other"),
            ("mrml", "import slicer\nfrom vtkmodules.util import numpy_support\nfrom ..imaging.volume import Volume"),
            ("cli", "def demo():\n    from ..mrml import headless"),
        ):
            with self.subTest(code=code):
                self.assertEqual(list(violations(f"{PACKAGE}.{package}.example", code)), [])

    def test_command_imports_scene_code_inside_functions_only(self) -> None:
        self.assertTrue(list(violations(f"{PACKAGE}.cli.example", "from ..mrml import headless")))

    def test_each_use_of_the_application_is_seen(self) -> None:
        for code in (
            "import slicer\nslicer.mrmlScene.Clear()",
            "from slicer import app",
            "import slicer.modules",
            "import slicer as s\ns.app",
            "import slicer\ngetattr(slicer, 'app', None)",
        ):
            with self.subTest(code=code):
                self.assertTrue(list(application_uses("example", code)))
        self.assertEqual(list(application_uses("example", "import slicer\nslicer.vtkMRMLScene()")), [])


class BareInterpreterTestCase(unittest.TestCase):
    def test_library_imports_nothing_heavy(self) -> None:
        result = run_python(
            """
            import sys
            before = set(sys.modules)
            import TARECOMETLib
            print(" ".join(sorted({name.split(".")[0] for name in set(sys.modules) - before})))
            """
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.split(), [PACKAGE])

    def test_everything_but_scene_code_imports_without_slicer_vtk_and_qt(self) -> None:
        names = [module for module in MODULES if not is_within(module, {f"{PACKAGE}.mrml"})]
        result = run_python(
            """
            import importlib
            import sys

            blocked = set(sys.argv[1].split(","))

            class Blocker:
                @staticmethod
                def find_spec(name, path=None, target=None):
                    if name.split(".")[0] in blocked:
                        raise ImportError("blocked by this test: " + name)

            sys.meta_path.insert(0, Blocker)
            for name in sys.argv[2:]:
                importlib.import_module(name)
            assert not blocked & set(sys.modules), blocked & set(sys.modules)
            """,
            ",".join(sorted(SCENE | QT | {"slicer_core", "PythonQt"})),
            *names,
        )
        self.assertEqual(result.returncode, 0, result.stderr)
