"""The Slicer module: the only file that knows Qt and the running application."""

import importlib
import pkgutil
import sys
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

# From a source tree Slicer adds only this folder to sys.path, and the library is the folder beside it.
try:
    import TARECOMETLib
except ModuleNotFoundError:
    sys.path.append(str(Path(__file__).resolve().parent.parent))
    import TARECOMETLib

PROJECT_URL = "https://github.com/tarecomet/SlicerTARECOMET"


class TARECOMET(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        super().__init__(parent)
        self.parent.title = _("TARECOMET")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Nuclear Medicine")]
        self.parent.dependencies = []
        self.parent.contributors = ["TARECOMET contributors"]
        self.parent.helpText = _(
            "Dosimetry of liver radioembolization with yttrium-90 glass microspheres. "
            "Research software, not for clinical use. See the {link_start}project's home page{link_end}."
        ).format(link_start=f'<a href="{PROJECT_URL}">', link_end="</a>")
        self.parent.acknowledgementText = _("Built on 3D Slicer, ITK, VTK, numpy, scipy and pydicom.")


class TARECOMETWidget(ScriptedLoadableModuleWidget):
    """Binds the panel. It computes nothing itself."""

    def setup(self) -> None:
        """Build the panel. It must also work without a main window."""
        super().setup()
        panel = slicer.util.loadUI(self.resourcePath("UI/TARECOMET.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = TARECOMETLogic()
        self.ui.versionLabel.text = _("Library version {version}").format(version=self.logic.libraryVersion())
        self.ui.documentationButton.clicked.connect(self.onDocumentationButton)

    def onDocumentationButton(self, _checked: bool = False) -> None:
        """Open the project's home page in the web browser."""
        qt.QDesktopServices.openUrl(qt.QUrl(PROJECT_URL))

    def onReload(self) -> None:
        """Forget the library too: Slicer reloads this file only, and would keep the old library."""
        for name in [name for name in sys.modules if name.partition(".")[0] == "TARECOMETLib"]:
            del sys.modules[name]
        super().onReload()


class TARECOMETLogic(ScriptedLoadableModuleLogic):
    """Hands the scene and its nodes to the library."""

    @staticmethod
    def libraryVersion() -> str:
        """Version of the library that Slicer has loaded."""
        return TARECOMETLib.__version__


class TARECOMETTest(ScriptedLoadableModuleTest):
    """Self-test of the module as it is installed. It needs no network."""

    def setUp(self) -> None:
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def test_all_of_the_library_but_the_command_imports_in_slicer(self) -> None:
        """A file that CMake does not list, or a package that Slicer does not bring, shows here."""

        def fail(name: str) -> None:
            raise ImportError(name)

        names = [module.name for module in pkgutil.walk_packages(TARECOMETLib.__path__, "TARECOMETLib.", onerror=fail)]
        names = [name for name in names if not name.startswith("TARECOMETLib.cli")]
        self.assertIn("TARECOMETLib.imaging.geometry", names)
        for name in names:
            importlib.import_module(name)

    def test_dose_of_one_voxel_equals_the_hand_calculation(self) -> None:
        """1 MBq that decays in one voxel of 4 mm at 1 g/mL: 49.67 Gy kg/GBq x 0.001 GBq / 0.000064 kg = 776.09 Gy."""
        from TARECOMETLib.imaging.geometry import VolumeGeometry
        from TARECOMETLib.physics.nuclides import constants_set

        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        node.SetSpacing(4.0, 4.0, 4.0)
        geometry = VolumeGeometry.from_components((1, 1, 1), spacing_mm=node.GetSpacing())
        mass_kg = geometry.voxel_volume_ml * 1.0e-3
        dose_gy = constants_set("MIRD 49.67").gy_kg_per_gbq * 1.0e-3 / mass_kg
        self.assertAlmostEqual(dose_gy, 776.09375, places=6)

    def test_panel_shows_the_version_of_the_library(self) -> None:
        """The panel is built from its .ui file, with or without a main window."""
        widget = slicer.modules.tarecomet.widgetRepresentation().self()
        self.assertIn(TARECOMETLib.__version__, widget.ui.versionLabel.text)
        self.assertTrue(widget.ui.documentationButton.toolTip)
