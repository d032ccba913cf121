"""Write slicer_widget_api.json: what Python reaches of Slicer's and CTK's widgets, read out of their headers.

PythonQt offers properties, signals, public slots, Q_INVOKABLE methods and registered enumerations, and nothing else.

    python Testing/panel/panel_host/make_widget_api.py SLICER_CHECKOUT CTK_CHECKOUT

A checkout is a clone of https://github.com/Slicer/Slicer or https://github.com/commontk/CTK, with a work tree or bare.
A new widget in a .ui file needs a line in WANTED, and a new run.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from header_parser import decorated_methods, parse_classes

OUTPUT = Path(__file__).resolve().parent / "slicer_widget_api.json"
FOLDERS = {
    "Slicer": ("Libs/MRML/Widgets/", "Modules/Loadable/", "Base/QTCore/", "Base/QTGUI/"),
    "CTK": ("Libs/Widgets/", "Libs/Core/", "Libs/Visualization/VTK/Widgets/"),
}
_WANTED = """
qMRMLCheckableNodeComboBox qMRMLCollapsibleButton qMRMLColorTableComboBox qMRMLCoordinatesWidget
qMRMLLinearTransformSlider qMRMLListWidget qMRMLMatrixWidget qMRMLNodeComboBox qMRMLPlotView qMRMLPlotWidget
qMRMLRangeWidget qMRMLSegmentEditorWidget qMRMLSegmentSelectorWidget qMRMLSegmentationConversionParametersWidget
qMRMLSegmentationDisplayNodeWidget qMRMLSegmentationGeometryWidget qMRMLSegmentsTableView qMRMLSliceWidget
qMRMLSliderWidget qMRMLSpinBox qMRMLSubjectHierarchyComboBox qMRMLSubjectHierarchyTreeView qMRMLTableView
qMRMLTableWidget qMRMLTextWidget qMRMLThreeDWidget qMRMLTransformSliders qMRMLTreeView qMRMLVolumeThresholdWidget
qMRMLWidget qMRMLWindowLevelWidget
qSlicerApplication qSlicerLayoutManager qSlicerModuleManager qSlicerScriptedLoadableModule
qSlicerScriptedLoadableModuleWidget qSlicerSegmentEditorEffectFactory qSlicerSegmentEditorScriptedEffect
qSlicerTerminologySelectorButton qSlicerWidget
ctkCheckBox ctkCheckableComboBox ctkCollapsibleButton ctkCollapsibleGroupBox ctkColorPickerButton ctkComboBox
ctkCoordinatesWidget ctkDirectoryButton ctkDoubleRangeSlider ctkDoubleSlider ctkDoubleSpinBox ctkExpandButton
ctkExpandableWidget ctkFittedTextBrowser ctkMatrixWidget ctkMenuButton ctkMessageBox ctkPathLineEdit ctkPushButton
ctkRangeSlider ctkRangeWidget ctkSearchBox ctkSliderWidget ctkTreeComboBox
"""
WANTED = _WANTED.split()


class Checkout:
    """Headers of one repository at its newest commit."""

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self._path = path
        self.commit = self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(["git", "-C", self._path, *arguments], capture_output=True, check=True)
        return done.stdout.decode("utf-8", "replace")

    def headers(self) -> dict[str, str]:
        """Path of every header below this repository's folders of widgets, by file name."""
        paths = self._git("ls-tree", "-r", "--name-only", "HEAD", *FOLDERS[self.name]).splitlines()
        return {
            Path(path).stem: path
            for path in sorted(paths)
            if path.endswith(".h") and not path.endswith("_p.h") and "/Testing/" not in path
        }

    def read(self, path: str) -> str:
        """Text of one file."""
        return self._git("show", f"HEAD:{path}")


def collect(checkouts: list[Checkout]) -> dict[str, dict]:
    """The wanted classes and those they derive from."""
    headers = {stem: (checkout, path) for checkout in checkouts for stem, path in checkout.headers().items()}
    decorations: dict[str, dict] = {}
    for stem, (checkout, path) in headers.items():
        if stem.endswith("PythonQtDecorators"):
            for name, methods in decorated_methods(checkout.read(path)).items():
                decorations.setdefault(name, {}).update(methods)
    classes: dict[str, dict] = {}
    waiting = list(WANTED)
    while waiting:
        name = waiting.pop()
        if name in classes or name not in headers:
            if name in WANTED and name not in headers:
                sys.exit(f"{name}: no such header in {', '.join(checkout.name for checkout in checkouts)}")
            continue
        checkout, path = headers[name]
        parsed = parse_classes(checkout.read(path)).get(name)
        if parsed is None:
            sys.exit(f"{path}: no class {name} found")
        for method, overloads in decorations.get(name, {}).items():
            parsed["methods"].setdefault(method, []).extend(overloads)
        classes[name] = {"header": f"{checkout.name}/{path}", **parsed}
        waiting.append(parsed["base"])
    return dict(sorted(classes.items()))


def main(arguments: list[str]) -> None:
    """Read the two checkouts and write the list."""
    if len(arguments) != len(FOLDERS):
        sys.exit(__doc__)
    checkouts = [Checkout(name, path) for name, path in zip(FOLDERS, arguments, strict=True)]
    classes = collect(checkouts)
    document = {
        "made_by": "make_widget_api.py",
        "read_from": {checkout.name: checkout.commit for checkout in checkouts},
        "classes": classes,
    }
    text = json.dumps(document, indent=1, ensure_ascii=False)
    # Innermost lists on one line: a change of one method is a change of one line.
    text = re.sub(r"\[\s+((?:[^\[\]{}]|\[\])*?)\s+\]", lambda found: "[" + " ".join(found[1].split()) + "]", text)
    OUTPUT.write_text(text + "\n", encoding="utf-8")
    print(f"{len(classes)} classes, {len(text)} characters")


if __name__ == "__main__":
    main(sys.argv[1:])
