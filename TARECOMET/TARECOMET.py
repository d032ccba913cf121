"""The Slicer module: with the folder TARECOMETPanel beside it the only code that knows Qt and the application."""

import importlib
import pkgutil
import sys
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

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
        self.parent.dependencies = ["Segmentations", "SegmentEditor", "SubjectHierarchy", "Volumes"]
        self.parent.contributors = ["TARECOMET contributors"]
        self.parent.helpText = _(
            "Dosimetry of liver radioembolization with yttrium-90 glass microspheres. "
            "Research software, not for clinical use. See the {link_start}project's home page{link_end}."
        ).format(link_start=f'<a href="{PROJECT_URL}">', link_end="</a>")
        self.parent.acknowledgementText = _("Built on 3D Slicer, ITK, VTK, numpy, scipy and pydicom.")
        # Sample Data is loaded after this module, so it is spoken to when all are.
        slicer.app.connect("startupCompleted()", registerSampleData)
        slicer.app.connect("startupCompleted()", registerLayouts)


def registerSampleData() -> None:
    """Offer the sample patient in Slicer's Sample Data module; it is made on this machine, not downloaded."""
    if not hasattr(slicer.modules, "sampledata"):
        return
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="TARECOMET",
        sampleName="TARE phantom (pre and post)",
        uris=[],
        fileNames=[],
        nodeNames=[],
        thumbnailFileName=str(Path(__file__).resolve().parent / "Resources" / "Icons" / "TARECOMET.png"),
        customDownloader=lambda _source=None: slicer.modules.tarecomet.widgetRepresentation().self().loadSample(),
    )


def registerLayouts() -> None:
    """Make our layouts known before any scene is opened that was saved in one of them."""
    manager = slicer.app.layoutManager()
    if manager is not None:
        from TARECOMETLib.mrml.layouts import register_layouts

        register_layouts(manager.layoutLogic().GetLayoutNode())


class TARECOMETWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: its steps, each bound in a file of its own. It computes nothing itself."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.panel = self.form = None

    def setup(self) -> None:
        """Build the panel. It must also work without a main window."""
        ScriptedLoadableModuleWidget.setup(self)
        self.form = slicer.util.loadUI(self.resourcePath("UI/TARECOMET.ui"))
        self.layout.addWidget(self.form)
        self.ui = slicer.util.childWidgetVariables(self.form)
        self.form.setMRMLScene(slicer.mrmlScene)
        self.logic = TARECOMETLogic()
        from TARECOMETPanel.panel import Panel

        self.panel = Panel(self.ui, self.logic, PROJECT_URL)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneChanged)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneChanged)
        self.panel.refresh()

    def loadSample(self) -> None:
        """Make and load the sample patient; the panel's own progress and Cancel serve it."""
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("TARECOMET")
        self.panel.loadSample(Path(slicer.app.temporaryPath) / "TARECOMET sample patient")

    def enter(self) -> None:
        """The module is shown."""
        self.panel.enter()

    def exit(self) -> None:
        """Another module is shown."""
        self.panel.exit()

    def cleanup(self) -> None:
        """The module is reloaded or Slicer ends."""
        if self.panel is not None:
            self.panel.close()
        self.removeObservers()
        if self.form is not None:
            # A reload would leave the old widgets under the module's panel.
            self.form.deleteLater()
            self.form = None

    def onSceneStartClose(self, _caller: object = None, _event: object = None) -> None:
        """Stop what runs and let go of all nodes."""
        self.panel.sceneCloses()

    def onSceneChanged(self, _caller: object = None, _event: object = None) -> None:
        """A scene was closed or brought in."""
        self.logic.forget()
        self.panel.sceneChanged()

    def onReload(self) -> None:
        """Forget library and panel too: Slicer reloads this file only, and would keep the old ones."""
        for name in [name for name in sys.modules if name.partition(".")[0] in ("TARECOMETLib", "TARECOMETPanel")]:
            del sys.modules[name]
        super().onReload()


class TARECOMETLogic(ScriptedLoadableModuleLogic):
    """Hands the application's scene to the library."""

    def __init__(self):
        super().__init__()
        self._session = None

    @staticmethod
    def libraryVersion() -> str:
        """Version of the library that Slicer has loaded."""
        return TARECOMETLib.__version__

    def session(self):
        """The library's view of the open patient in Slicer's scene."""
        node = self.getParameterNode()
        if self._session is None or self._session.parameter_node is not node:
            from TARECOMETLib.mrml.session import Session

            self._session = Session(slicer.mrmlScene, node)
        return self._session

    def forget(self) -> None:
        """Start anew after the scene was closed or another came in; the open patient is found by its pointer."""
        if self._session is not None and not slicer.mrmlScene.IsNodePresent(self._session.parameter_node):
            self._session = None

    @staticmethod
    def dicomFiles(volumeNode) -> list:
        """DICOM files a volume was loaded from, empty where the database does not know them.

        :param volumeNode: scalar volume node.
        """
        database = getattr(slicer, "dicomDatabase", None)
        uids = (volumeNode.GetAttribute("DICOM.instanceUIDs") or "").split()
        if database is None or not uids:
            return []
        files = [database.fileForInstance(uid) for uid in uids]
        return [Path(file) for file in files if file and Path(file).is_file()]


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

    def test_walk_from_an_empty_scene_to_saved_doses(self) -> None:
        """The panel is driven as a person would, on a small patient that is made here."""
        from TARECOMETPanel.walk import walk

        widget = slicer.modules.tarecomet.widgetRepresentation().self()
        walk(widget, slicer.mrmlScene, self)
