"""Configures and installs the extension against a stand-in for Slicer, and looks at what arrives."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import TARECOMETLib

ROOT = Path(__file__).resolve().parents[2]
STUB = ROOT / "Testing" / "data" / "slicer-stub"
NOT_SHIPPED = {"CMakeLists.txt", "__pycache__"}
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang") or shutil.which("cl")


def shipped(folder: Path, prefix: str = "") -> set[str]:
    """Every file that belongs in an installation, relative to Slicer's module folder."""
    return {
        prefix + path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not NOT_SHIPPED & set(path.parts) and not any(part.startswith(".") for part in path.parts)
    }


@unittest.skipUnless(shutil.which("cmake"), "cmake is not installed")
@unittest.skipUnless(COMPILER, "no C compiler: CMake's project() asks for one")
class CMakeInstallTestCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def cmake(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = ["cmake", *(str(argument) for argument in arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    def configure(self, source: Path, build: Path, *options: str) -> subprocess.CompletedProcess[str]:
        return self.cmake("-S", source, "-B", build, f"-DSlicer_DIR={STUB.as_posix()}", *options)

    def test_installation_holds_every_file_and_the_library_imports_from_it(self) -> None:
        build, prefix = self.folder / "build", self.folder / "prefix"
        for result in (
            self.configure(ROOT, build, "-DBUILD_TESTING=OFF"),
            self.cmake("--install", build, "--prefix", prefix),
        ):
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        modules = prefix / "lib" / "Slicer-stub" / "qt-scripted-modules"
        expected = shipped(ROOT / "TARECOMET") | shipped(ROOT / "TARECOMETLib", "TARECOMETLib/")
        self.assertEqual(shipped(modules), expected)

        code = "import sys; sys.path.insert(0, sys.argv[1]); import TARECOMETLib as t; print(t.__version__, t.__file__)"
        result = subprocess.run(
            [sys.executable, "-B", "-c", code, str(modules)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            cwd=self.folder,
        )
        version, _, file = result.stdout.strip().partition(" ")
        self.assertEqual(version, TARECOMETLib.__version__)
        self.assertEqual(Path(file).resolve().parent, (modules / "TARECOMETLib").resolve())

    @unittest.skipUnless(shutil.which("ctest"), "ctest is not installed")
    def test_tests_are_registered_with_ctest(self) -> None:
        build = self.folder / "build"
        result = self.configure(ROOT, build, "-DBUILD_TESTING=ON")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        listed = subprocess.run(
            ["ctest", "-C", "Release", "--show-only=json-v1"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            cwd=build,
        )
        names = {test["name"] for test in json.loads(listed.stdout)["tests"]}
        scene_tests = {f"py_TARECOMET_{path.stem}" for path in (ROOT / "Testing" / "slicer").glob("test_*.py")}
        self.assertLessEqual({"py_TARECOMET", "py_nomainwindow_qSlicerTARECOMETModuleGenericTest"} | scene_tests, names)

    def test_stand_in_refuses_a_file_that_does_not_exist(self) -> None:
        (self.folder / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.20)\nproject(Example)\nfind_package(Slicer REQUIRED)\n"
            "include(${Slicer_USE_FILE})\nslicerMacroBuildScriptedModule(NAME Example SCRIPTS missing.py)\n",
            encoding="utf-8",
        )
        result = self.configure(self.folder, self.folder / "build")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("missing.py", result.stderr)
