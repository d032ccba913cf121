"""The repository itself: what is shipped, what the metadata says, what no file may contain."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import unittest
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import TARECOMETLib

ROOT = Path(__file__).resolve().parents[2]
LARGEST_FILE_BYTES = 1_000_000
NOT_OURS = {
    ".git",
    ".venv",
    "build",
    "dist",
    "demo-output",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
}
RAW_URL = "https://raw.githubusercontent.com/tarecomet/SlicerTARECOMET/main/"
# Widgets a person reads or that hold others; every other widget of a .ui file takes input.
PASSIVE_WIDGETS = {
    *("QWidget", "QFrame", "QLabel", "QGroupBox", "QScrollArea", "QTabWidget", "QStackedWidget", "QSplitter", "Line"),
    *("QProgressBar", "QTextBrowser", "qMRMLWidget", "ctkCollapsibleButton", "ctkCollapsibleGroupBox"),
}


@lru_cache(maxsize=1)
def repository_files() -> tuple[Path, ...]:
    """Files under version control and new ones that are not ignored; without git, all but what tools make."""
    listed = (
        subprocess.run(
            ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True,
            check=False,
        )
        if (ROOT / ".git").exists()
        else None
    )
    if listed is not None and listed.returncode == 0 and listed.stdout:
        paths = [ROOT / name for name in sorted(set(listed.stdout.decode().split("\0"))) if name]
    else:
        paths = sorted(ROOT.rglob("*"))
    return tuple(path for path in paths if path.is_file() and not is_made_by_tools(path))


def is_made_by_tools(path: Path) -> bool:
    """Whether a file is a cache, a build or the environment."""
    parts = path.relative_to(ROOT).parts
    return bool(NOT_OURS & set(parts)) or any(part.endswith(".egg-info") for part in parts)


def text_files() -> Iterator[tuple[str, str]]:
    """Path and content of every text file, line ends as they are."""
    for path in repository_files():
        content = path.read_bytes()
        if b"\0" not in content:
            yield path.relative_to(ROOT).as_posix(), content.decode("utf-8")


def cmake_sets(path: Path) -> dict[str, list[str]]:
    """Words of every set() in a CMake file, with the module's name filled in."""
    text = re.sub(r"#.*", "", path.read_text(encoding="utf-8"))
    sets = {name: words.split() for name, words in re.findall(r"\bset\((\w+)\s+([^)]*)\)", text)}
    module = "".join(sets.get("MODULE_NAME", []))
    return {name: [word.replace("${MODULE_NAME}", module) for word in words] for name, words in sets.items()}


def shipped_files(folder: Path) -> tuple[list[str], list[str]]:
    """Scripts and resources in a folder, as CMake must list them."""
    names = [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "CMakeLists.txt" and not is_made_by_tools(path)
    ]
    return [name for name in names if name.endswith(".py")], [name for name in names if not name.endswith(".py")]


class CMakeListsTestCase(unittest.TestCase):
    def check(self, folder: str, scripts_name: str, resources_name: str) -> None:
        listed = cmake_sets(ROOT / folder / "CMakeLists.txt")
        scripts, resources = shipped_files(ROOT / folder)
        for name, on_disk in ((scripts_name, scripts), (resources_name, resources)):
            missing, extra = sorted(set(on_disk) - set(listed[name])), sorted(set(listed[name]) - set(on_disk))
            twice = [word for word, count in Counter(listed[name]).items() if count > 1]
            with self.subTest(list=name):
                self.assertFalse(
                    missing or extra or twice,
                    f"{folder}/CMakeLists.txt, {name}: add {missing}, remove {extra}, listed twice {twice}",
                )

    def test_lists_of_the_library_equal_the_files_on_disk(self) -> None:
        self.check("TARECOMETLib", "TARECOMETLIB_PYTHON_SCRIPTS", "TARECOMETLIB_PYTHON_RESOURCES")

    def test_lists_of_the_module_equal_the_files_on_disk(self) -> None:
        self.check("TARECOMET", "MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES")

    def test_every_scene_test_runs_inside_slicer_too(self) -> None:
        listed = cmake_sets(ROOT / "Testing" / "CMakeLists.txt")["TARECOMET_IN_SLICER_TESTS"]
        scene_tests = {f"slicer/{path.name}" for path in (ROOT / "Testing" / "slicer").glob("test_*.py")}
        self.assertEqual(sorted(scene_tests - set(listed)), [], "add to Testing/CMakeLists.txt")
        self.assertEqual([name for name in listed if not (ROOT / "Testing" / name).is_file()], [], "no such file")

    def test_library_is_a_package_and_the_module_folder_is_not(self) -> None:
        self.assertTrue((ROOT / "TARECOMETLib" / "__init__.py").is_file())
        self.assertFalse((ROOT / "TARECOMET" / "__init__.py").exists())


class MetadataTestCase(unittest.TestCase):
    """What the Extensions Index reads, and the version in three places."""

    def setUp(self) -> None:
        text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
        self.values = dict(re.findall(r'^set\((EXTENSION_\w+) "([^"\n]*)"\)$', text, re.MULTILINE))
        self.project = re.findall(r"^project\((\w+)\)$", text, re.MULTILINE)

    def test_fields_are_on_one_line_in_double_quotes(self) -> None:
        self.assertEqual(self.project, ["TARECOMET"])
        for name in ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "DEPENDS", "LICENSE_FILE", "README_FILE"):
            with self.subTest(field=name):
                self.assertTrue(self.values.get(f"EXTENSION_{name}"))
        self.assertIn("EXTENSION_SCREENSHOTURLS", self.values)

    def check_urls(self, urls: str) -> None:
        for url in urls.split():
            with self.subTest(url=url):
                self.assertTrue(url.startswith(RAW_URL))
                self.assertTrue((ROOT / url.removeprefix(RAW_URL)).is_file())

    def test_icon_is_in_the_repository(self) -> None:
        self.check_urls(self.values["EXTENSION_ICONURL"])

    def test_screenshots_are_in_the_repository(self) -> None:
        if not self.values["EXTENSION_SCREENSHOTURLS"]:
            self.skipTest("no screenshot of the panel yet; the Extensions Index asks for one")
        self.check_urls(self.values["EXTENSION_SCREENSHOTURLS"])

    def test_icons_are_128_pixels_wide_and_high(self) -> None:
        for name in ("Resources/TARECOMET.png", "TARECOMET/Resources/Icons/TARECOMET.png"):
            content = (ROOT / name).read_bytes()
            self.assertEqual(content[:8], b"\x89PNG\r\n\x1a\n")
            self.assertEqual((int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")), (128, 128))

    def test_license_is_apache_2(self) -> None:
        text = (ROOT / "LICENSE").read_text(encoding="utf-8")
        self.assertRegex(text, r"Apache License\s+Version 2\.0, January 2004")
        self.assertIn('license = "Apache-2.0"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        self.assertIn("license: Apache-2.0", (ROOT / "CITATION.cff").read_text(encoding="utf-8"))

    def test_citation_and_changelog_name_the_version_of_the_library(self) -> None:
        citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
        self.assertEqual(re.findall(r"^version: \"?([^\s\"]+)", citation, re.MULTILINE), [TARECOMETLib.__version__])
        changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        self.assertEqual(re.findall(r"^## (\S+)", changelog, re.MULTILINE)[0], TARECOMETLib.__version__)

    @unittest.skipIf(os.name == "nt", "Windows has no executable bit")
    def test_scripts_can_be_executed(self) -> None:
        for name in (".ci/run", "Testing/setup_environment.sh"):
            self.assertTrue(os.access(ROOT / name, os.X_OK), name)


class TextTestCase(unittest.TestCase):
    def check_absent(self, pattern: str) -> None:
        found = [
            f"{name}:{number}: {line.strip()[:120]}"
            for name, text in text_files()
            for number, line in enumerate(text.splitlines(), 1)
            if re.search(pattern, line)
        ]
        self.assertEqual(found, [], "\n" + "\n".join(found))

    def test_lines_end_with_line_feeds(self) -> None:
        self.assertEqual([name for name, text in text_files() if "\r" in text], [])

    def test_no_file_is_large(self) -> None:
        large = [path.name for path in repository_files() if path.stat().st_size > LARGEST_FILE_BYTES]
        self.assertEqual(large, [])

    def test_no_file_names_a_path_of_one_machine(self) -> None:
        self.check_absent(r"(?<![\w.${}~/-])/(?:work|tmp|root|home)\b|\b[A-Z]:\\+Users\b")

    def test_no_file_names_a_package_registry_host(self) -> None:
        self.check_absent(r"\b(?:test\.)?pypi\.(?:org|io)\b|pythonhosted\.org|anaconda\.org|-i(?:ndex-url)?[ =]https?:")


class TestFilesTestCase(unittest.TestCase):
    """Slicer's test runner loads TestCase classes only: a file of bare functions runs nothing and is green."""

    def test_every_test_file_holds_a_test(self) -> None:
        for path in sorted((ROOT / "Testing").rglob("test_*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
            # Read, not imported: what a file imports may be missing here. A base class ends in TestCase.
            cases = [c for c in classes if any(ast.unparse(base).endswith("TestCase") for base in c.bases)]
            tests = [item.name for case in cases for item in case.body if isinstance(item, ast.FunctionDef)]
            functions = [n.name for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test")]
            with self.subTest(file=path.relative_to(ROOT).as_posix()):
                self.assertTrue(any(name.startswith("test_") for name in tests), "no TestCase with a test")
                self.assertEqual(functions, [], "bare functions do not run inside Slicer")


class PanelFileTestCase(unittest.TestCase):
    """Static checks of the .ui files: Qt's designer and Slicer accept these mistakes in silence."""

    def setUp(self) -> None:
        files = sorted((ROOT / "TARECOMET").rglob("*.ui"))
        self.assertTrue(files)
        self.widgets = [(path.name, widget) for path in files for widget in ET.parse(path).getroot().iter("widget")]

    def test_every_input_has_a_tooltip(self) -> None:
        for file, widget in self.widgets:
            if widget.get("class") not in PASSIVE_WIDGETS:
                with self.subTest(file=file, widget=widget.get("name")):
                    tooltip = widget.findtext("property[@name='toolTip']/string", "")
                    self.assertTrue(tooltip.strip(), "no toolTip")

    def test_every_number_has_its_unit_in_the_tooltip(self) -> None:
        for file, widget in self.widgets:
            if "SpinBox" in str(widget.get("class")):
                with self.subTest(file=file, widget=widget.get("name")):
                    tooltip = widget.findtext("property[@name='toolTip']/string", "")
                    self.assertRegex(tooltip, r"\b(mm|HU|g/mL|GBq|MBq|Gy|h)\b|%")

    def test_every_name_is_given_once(self) -> None:
        names = Counter(str(widget.get("name")) for _, widget in self.widgets)
        self.assertEqual([name for name, count in names.items() if count > 1], [])

    def test_every_parameter_name_is_a_dynamic_property(self) -> None:
        for file, widget in self.widgets:
            for item in widget.findall("property"):
                if item.get("name") == "SlicerParameterName":
                    with self.subTest(file=file, widget=widget.get("name")):
                        self.assertEqual(item.get("stdset"), "0")
                        self.assertTrue((item.findtext("string") or "").isidentifier())

    def test_every_widget_that_the_module_uses_exists(self) -> None:
        names = {str(widget.get("name")) for _, widget in self.widgets}
        for path in sorted((ROOT / "TARECOMET").rglob("*.py")):
            used = set(re.findall(r"\bui\.(\w+)", path.read_text(encoding="utf-8")))
            self.assertEqual(sorted(used - names), [], path.name)
