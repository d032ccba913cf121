"""Step 1: patient, images by role, registration."""

import qt
import slicer
from slicer.i18n import tr as _

from .step import Step, currentData, fill

SELECTORS = {
    "diagnostic": "diagnosticSelector",
    "maa_spect": "maaSpectSelector",
    "maa_ct": "maaCtSelector",
    "y90_pet": "y90PetSelector",
    "y90_spect": "y90SpectSelector",
    "y90_ct": "y90CtSelector",
}


class ImagesStep(Step):
    """Patient, images and registration."""

    name = "images"
    badge = "imagesBadge"

    def bind(self) -> None:
        """Connect the widgets."""
        ui, attempt = self.ui, self.panel.attempt
        self.registerTip = ui.registerButton.toolTip
        ui.patientCombo.currentIndexChanged.connect(lambda _index: attempt(self.onPatient))
        ui.newPatientButton.clicked.connect(lambda _checked=False: attempt(self.onNewPatient))
        ui.pseudonymEdit.returnPressed.connect(lambda: attempt(self.onNewPatient))
        ui.deviceEdit.editingFinished.connect(lambda: attempt(self.onDevice))
        for role, name in SELECTORS.items():
            # Only what a person chooses: the current node also jumps when a node is deleted or a scene comes in.
            getattr(ui, name).nodeActivated.connect(lambda node, role=role: attempt(self.onImage, role, node))
            getattr(ui, name).currentNodeChanged.connect(lambda _node: self.panel.refreshSoon())
        ui.proposeButton.clicked.connect(lambda _checked=False: self.onPropose())
        fill(ui.phaseCombo, [(_("Before treatment"), "pre"), (_("After treatment"), "post")], "pre")
        ui.phaseCombo.currentIndexChanged.connect(lambda _index: self.panel.refresh())
        ui.registerButton.clicked.connect(lambda _checked=False: attempt(self.onRegister))
        ui.takeOffButton.clicked.connect(lambda _checked=False: attempt(self.onTakeOff))
        ui.nudgeButton.clicked.connect(lambda _checked=False: attempt(self.onNudge))
        ui.checkerButton.clicked.connect(lambda _checked=False: attempt(self.onChecker))
        ui.blendSlider.valueChanged.connect(lambda _value: self.showBlend())
        self.quality = {}
        self.checkered = False

    def onPatient(self) -> None:
        """Open the chosen patient."""
        node = slicer.mrmlScene.GetNodeByID(currentData(self.ui.patientCombo) or "")
        if node is not None:
            self.session.choose(node)

    def onNewPatient(self) -> None:
        """Add a patient."""
        self.session.new(self.ui.pseudonymEdit.text)
        self.ui.pseudonymEdit.text = ""

    def onDevice(self) -> None:
        """Store the device."""
        if self.session.open() is not None and self.ui.deviceEdit.text.strip():
            self.session.change(device=self.ui.deviceEdit.text.strip())

    def onImage(self, role: str, node) -> None:
        """Give a role to the chosen volume, or take it away."""
        if self.session.open() is None:
            if node is not None:
                self.panel.say(_("Add a patient first, then choose its images."))
            return
        if node is self.session.open().image_node(role):
            return
        self.session.set_image(role, node, self.panel.logic.dicomFiles(node) if node is not None else [])

    def onPropose(self) -> None:
        """Propose roles for all loaded volumes."""
        remarks = []

        def propose() -> None:
            volumes = [
                node
                for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
                if node.GetAttribute("DicomRtImport.DoseVolume") != "1"
            ]
            remarks.extend(self.session.propose_images(volumes, self.panel.logic.dicomFiles))

        if self.panel.attempt(propose) and remarks:
            self.panel.say("\n".join(remarks))

    def onRegister(self) -> None:
        """Register the chosen phase; the panel answers meanwhile."""
        phase = currentData(self.ui.phaseCombo)

        def done(registration) -> None:
            self.quality[phase] = registration
            self.showBlend()

        self.panel.run(self.session.register(phase), _("registering"), done)

    def onTakeOff(self) -> None:
        """Back to where the image was acquired."""
        self.session.take_off(currentData(self.ui.phaseCombo))

    def onNudge(self) -> None:
        """Shift by hand."""
        ui = self.ui
        shift = (ui.nudgeLeftSpin.value, ui.nudgePosteriorSpin.value, ui.nudgeSuperiorSpin.value)
        self.session.nudge(currentData(ui.phaseCombo), shift)

    def onChecker(self) -> None:
        """Checkerboard on, or back to the blend."""
        from TARECOMETLib.mrml.slice_layers import show_layers

        self.checkered = not self.checkered
        try:
            board = self.session.show_checkerboard(currentData(self.ui.phaseCombo), self.checkered)
        except ValueError:
            self.checkered = False
            raise
        if board is None:
            self.showBlend()
        else:
            show_layers(slicer.mrmlScene, board, None)

    def showBlend(self) -> None:
        """The emission image's CT over the diagnostic image, as far as there are slice views."""
        from TARECOMETLib.mrml.slice_layers import show_layers

        opened = self.session.open()
        if opened is None:
            return
        own = opened.image_node("maa_ct" if currentData(self.ui.phaseCombo) == "pre" else "y90_ct")
        base = opened.image_node("diagnostic")
        if own is not None and base is not None:
            show_layers(slicer.mrmlScene, base, own, self.ui.blendSlider.value / 100.0)

    def sceneCloses(self) -> None:
        """Qualities belong to nodes that go."""
        self.quality = {}

    def show(self, case, state) -> None:
        """Show patient, roles, tags and registration."""
        ui = self.ui
        opened = self.session.open()
        pairs = [(name, node.GetID()) for name, node in self.session.patients()]
        fill(ui.patientCombo, pairs, opened.node.GetID() if opened is not None else None)
        if not ui.deviceEdit.hasFocus():
            ui.deviceEdit.text = case.device if case is not None else ""
        for role, name in SELECTORS.items():
            selector = getattr(ui, name)
            node = opened.image_node(role) if opened is not None else None
            if selector.currentNode() is not node:
                selector.blockSignals(True)
                selector.setCurrentNode(node)
                selector.blockSignals(False)
            selector.enabled = case is not None
        self._showTags(case)
        phase = currentData(ui.phaseCombo)
        self.panel.enable(ui.registerButton, state[self.name].actions[f"register {phase}"], self.registerTip)
        placed = case is not None and phase in case.registration_lps
        ui.takeOffButton.enabled = placed
        for button in (ui.nudgeButton, ui.checkerButton):
            button.enabled = case is not None and bool(case.images)
        ui.registrationLabel.text = self._registrationText(opened, phase, placed)

    def _registrationText(self, opened, phase: str, placed: bool) -> str:
        known = self.quality.get(phase)
        if not placed:
            return _("Not registered: computing registers by itself.")
        if known is not None:
            return _(
                "Correlation with the diagnostic image near the liver: {after:.2f} (before: {before:.2f})."
            ).format(after=known.quality, before=known.quality_before)
        results = opened.results() if opened is not None else None
        quality = (results or {}).get(phase, {}).get("registration", {}).get("quality")
        if quality is not None:
            return _("Correlation when doses were computed: {quality:.2f}.").format(quality=quality)
        return _("Placed by a transform; its quality is judged when doses are computed.")

    def _showTags(self, case) -> None:
        from TARECOMETLib.case.document import ROLE_WORDS

        table = self.ui.imagesTable
        images = list(case.images.items()) if case is not None else []
        table.rowCount = len(images)
        for row, (role, entry) in enumerate(images):
            facts = entry.emission
            unknown = _("not known") if entry.modality in ("NM", "PT") else ""
            words = [ROLE_WORDS[role], "HU" if entry.modality == "CT" else unknown, unknown, unknown]
            if facts is not None:
                words[1:] = [facts.units or unknown, facts.decay_correction or unknown, facts.scan_start or unknown]
            for column, word in enumerate(words):
                item = qt.QTableWidgetItem(word)
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
                item.setToolTip(entry.description)
                table.setItem(row, column, item)
        table.resizeColumnsToContents()
