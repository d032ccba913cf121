"""Step 2: Slicer's Segment Editor, the table of contours, and contours by one click."""

import qt
import slicer
from slicer.i18n import tr as _

from .step import Step, fill

EDITOR_TAG = "TARECOMETSegmentEditor"
SEGMENTATION_EVENTS = (
    "SegmentAdded",
    "SegmentRemoved",
    "SegmentModified",
    "SourceRepresentationModified",
)


class ContoursStep(Step):
    """Contours of the open patient."""

    name = "contours"
    badge = "contoursBadge"

    def bind(self) -> None:
        """Embed the editor and connect the widgets."""
        ui, attempt = self.ui, self.panel.attempt
        self.observed = None
        self.tags = []
        self.rows = []
        self.editor = slicer.qMRMLSegmentEditorWidget()
        self.editor.setMaximumNumberOfUndoStates(10)
        self.editor.setMRMLSegmentEditorNode(self.editorNode())
        self.editor.setMRMLScene(slicer.mrmlScene)
        self.editor.setSegmentationNodeSelectorVisible(False)
        self.editor.setSwitchToSegmentationsButtonVisible(False)
        # Which volumes the views show is the panel's affair: else each change of layout would clear the dose.
        self.editor.setAutoShowSourceVolumeNode(False)
        # Effects of other extensions may register after this panel was built.
        self.effects = slicer.qSlicerSegmentEditorEffectFactory.instance()
        self.effects.connect("effectRegistered(QString)", self.onEffectRegistered)
        ui.editorContainer.layout().addWidget(self.editor)
        ui.segmentationSelector.nodeActivated.connect(lambda node: attempt(self.onSegmentation, node))
        ui.segmentationSelector.currentNodeChanged.connect(lambda _node: self.panel.refreshSoon())
        ui.newSegmentationButton.clicked.connect(lambda _checked=False: attempt(self.onNewSegmentation))
        ui.automaticButton.clicked.connect(lambda _checked=False: attempt(self.onAutomatic))
        ui.territoryFromUptakeButton.clicked.connect(lambda _checked=False: attempt(self.onUptake, "territory"))
        ui.tumourFromUptakeButton.clicked.connect(lambda _checked=False: attempt(self.onUptake, "tumour"))
        ui.tumourFromCtButton.clicked.connect(lambda _checked=False: attempt(self.onTumourFromCt))
        ui.marginButton.clicked.connect(lambda _checked=False: attempt(self.onMargin))
        ui.derivedCheck.toggled.connect(lambda shown: attempt(self.onDerived, shown))

    # --- the embedded editor ----------------------------------------------------------------------------

    @staticmethod
    def editorNode():
        """The editor's own parameter node; painting a tumour must not erase the liver under it."""
        scene = slicer.mrmlScene
        node = scene.GetSingletonNode(EDITOR_TAG, "vtkMRMLSegmentEditorNode")
        if node is None:
            node = scene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
            node.UnRegister(None)
            node.SetSingletonTag(EDITOR_TAG)
            node = scene.AddNode(node)
        # Every time: closing the scene sets a singleton node back to its class's defaults, which erase.
        node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
        return node

    def onEffectRegistered(self, *_arguments: object) -> None:
        """Another effect for the editor."""
        self.editor.updateEffectList()

    def enter(self) -> None:
        """As Slicer's own module does it."""
        self.editor.installKeyboardShortcuts()
        self.editor.setMRMLSegmentEditorNode(self.editorNode())
        self.editor.updateWidgetFromMRML()

    def exit(self) -> None:
        """No effect stays active, no shortcut installed, no view observed."""
        self.editor.setActiveEffect(None)
        self.editor.uninstallKeyboardShortcuts()
        self.editor.removeViewObservations()

    def sceneCloses(self) -> None:
        """The editor lets go of all nodes."""
        self.observe(None)
        self.editor.setSegmentationNode(None)
        self.editor.removeViewObservations()

    def close(self) -> None:
        """No observer stays alive."""
        self.observe(None)
        self.exit()
        if self.effects is not None:
            self.effects.disconnect("effectRegistered(QString)", self.onEffectRegistered)
            self.effects = None

    def observe(self, node) -> None:
        """Follow the voxels and names of a segmentation."""
        if node is self.observed:
            return
        for watched, tag in self.tags:
            watched.RemoveObserver(tag)
        self.observed, self.tags = node, []
        if node is not None:
            segmentation = node.GetSegmentation()
            self.tags = [
                (segmentation, segmentation.AddObserver(getattr(segmentation, event), self.panel.refreshSoon))
                for event in SEGMENTATION_EVENTS
            ]
            self.tags.append(
                (node, node.AddObserver(slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self.panel.refreshSoon))
            )

    # --- what a person asks -----------------------------------------------------------------------------

    def onSegmentation(self, node) -> None:
        """Choose the segmentation that holds the contours."""
        if self.session.open() is not None:
            self.session.open().set_contours(node)

    def onNewSegmentation(self) -> None:
        """An empty segmentation on the diagnostic image's grid."""
        self.session.new_contours()

    def onUptake(self, role: str) -> None:
        """A territory or tumour from the uptake in the liver."""
        self.editor.saveStateForUndo()
        self.session.contour_from_uptake(role, self.ui.percentSpin.value)

    def onTumourFromCt(self) -> None:
        """A tumour from CT numbers in the liver."""
        self.editor.saveStateForUndo()
        self.session.contour_from_ct(self.ui.lowerHuSpin.value, self.ui.upperHuSpin.value)

    def onMargin(self) -> None:
        """Grow or shrink the chosen segment."""
        from TARECOMETLib.errors import InputError

        row = self.ui.contoursTable.currentRow()
        if not 0 <= row < len(self.rows):
            raise InputError(_("margin"), _("no contour is chosen"), _("Choose a row of the table"))
        self.editor.saveStateForUndo()
        self.session.margin(self.rows[row].segment_id, self.ui.marginSpin.value)

    def onDerived(self, shown: bool) -> None:
        """Show or hide the derived compartments."""
        self.session.show_derived(shown)

    def onAutomatic(self) -> None:
        """Liver and lungs by TotalSegmentator, where that extension is installed."""
        from TARECOMETLib.errors import InputError

        if not hasattr(slicer.modules, "totalsegmentator"):
            raise InputError(
                "TotalSegmentator",
                _("this extension is not installed"),
                _("Install it in the Extensions Manager, or draw liver and lungs in the editor"),
            )
        from TotalSegmentator import TotalSegmentatorLogic

        opened = self.session.open()
        image = opened.image_node("diagnostic") if opened is not None else None
        if image is None:
            raise InputError("TotalSegmentator", _("there is no diagnostic CT"), _("Choose it in step 1"))
        draft = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "TotalSegmentator")
        try:
            segmenter = TotalSegmentatorLogic()
            segmenter.setupPythonRequirements()
            segmenter.process(image, draft, quality="fast", task="total")
            self.editor.saveStateForUndo()
            self.session.take_automatic(draft)
        finally:
            slicer.mrmlScene.RemoveNode(draft)

    # --- what is shown ----------------------------------------------------------------------------------

    def show(self, case, state) -> None:
        """Show the contours."""
        from TARECOMETLib.mrml.contour_tools import contour_rows

        ui, opened = self.ui, self.session.open()
        node = opened.contours_node() if opened is not None else None
        self.observe(node)
        if ui.segmentationSelector.currentNode() is not node:
            ui.segmentationSelector.blockSignals(True)
            ui.segmentationSelector.setCurrentNode(node)
            ui.segmentationSelector.blockSignals(False)
        if self.editor.segmentationNode() is not node:
            self.editor.setSegmentationNode(node)
        image = opened.image_node("diagnostic") if opened is not None else None
        if node is not None and image is not None and self.editor.sourceVolumeNode() is not image:
            self.editor.setSourceVolumeNode(image)
        for widget in (ui.segmentationSelector, ui.newSegmentationButton):
            widget.enabled = case is not None
        for button in (
            ui.automaticButton,
            ui.territoryFromUptakeButton,
            ui.tumourFromUptakeButton,
            ui.tumourFromCtButton,
            ui.marginButton,
            ui.derivedCheck,
        ):
            button.enabled = node is not None
        rows = contour_rows(node) if node is not None else []
        if rows != self.rows or ui.contoursTable.rowCount != len(rows):
            self.rows = rows
            self.fillTable()

    def fillTable(self) -> None:
        """Write the table anew; the chosen row stays chosen."""
        from TARECOMETLib.dosimetry.compartments import ROLES
        from TARECOMETLib.mrml.contour_tools import SOURCES, give_role, give_source

        table = self.ui.contoursTable
        chosen = table.currentRow()
        table.rowCount = len(self.rows)
        for number, row in enumerate(self.rows):
            name = qt.QTableWidgetItem(row.name)
            name.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
            name.setIcon(colorIcon(row.color))
            table.setItem(number, 0, name)
            for column, words, current, give in (
                (1, ROLES, row.role, give_role),
                (2, SOURCES, row.source, give_source),
            ):
                combo = table.cellWidget(number, column)
                if combo is None:
                    combo = qt.QComboBox()
                    combo.toolTip = _("Role of this contour") if column == 1 else _("What it was drawn on")
                    combo.currentIndexChanged.connect(
                        lambda index, number=number, words=words, give=give: self.panel.attempt(
                            give, self.observed, self.rows[number].segment_id, words[index]
                        )
                    )
                    table.setCellWidget(number, column, combo)
                fill(combo, [(_(word), word) for word in words], current)
            volume = qt.QTableWidgetItem(f"{row.volume_ml:.1f}")
            volume.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
            table.setItem(number, 3, volume)
        table.resizeColumnsToContents()
        if 0 <= chosen < len(self.rows):
            table.setCurrentCell(chosen, 0)


def colorIcon(rgb):
    """A square of a segment's color."""
    pixmap = qt.QPixmap(12, 12)
    pixmap.fill(qt.QColor(*(round(255 * part) for part in rgb)))
    return qt.QIcon(pixmap)
