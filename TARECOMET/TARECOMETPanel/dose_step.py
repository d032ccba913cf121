"""Step 5: compute, see, read."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from .packages import installFromFolder, offerPackages
from .step import Step, currentData, fill, setValue

RESOLUTION_SPINS = (("maa_spect", "spectFwhmSpin"), ("y90_pet", "petFwhmSpin"))
# Columns of the dose table that show a mean dose with its uncertainty.
MEAN_COLUMNS = {2: "pre", 3: "post"}
# Tissue of the case to its fields: α/β in Gy, repair half-time in h.
TISSUES = {
    "tumour_tissue": ("tumourAlphaBetaEdit", "tumourRepairEdit"),
    "liver_tissue": ("liverAlphaBetaEdit", "liverRepairEdit"),
}
TISSUE_WORDS = ("α/β (Gy)", "repair half-time (h)")
MARKS = {"block": "⚠", "doubt": "?", "note": "·"}


class DoseStep(Step):
    """Doses of the open patient."""

    name = "dose"
    badge = "doseBadge"

    def bind(self) -> None:
        """Connect the widgets."""
        ui, attempt = self.ui, self.panel.attempt
        self.shownSettings = None
        self.computeTip = ui.computeButton.toolTip
        self.cancelTip = ui.cancelButton.toolTip
        fill(ui.methodCombo, [(_("Local deposition"), "local"), (_("Voxel kernel"), "kernel")], "local")
        fill(ui.phaseShownCombo, [(_("Predicted"), "pre"), (_("Delivered"), "post")], "post")
        ui.methodCombo.currentIndexChanged.connect(lambda _index: self.onView())
        ui.phaseShownCombo.currentIndexChanged.connect(lambda _index: self.onView())
        ui.opacitySlider.valueChanged.connect(lambda _value: self.showOverlay())
        ui.densitySpin.valueChanged.connect(lambda value: attempt(self.onDensity, value))
        for role, name in RESOLUTION_SPINS:
            getattr(ui, name).valueChanged.connect(lambda value, role=role: attempt(self.onResolution, role, value))
        ui.computeButton.clicked.connect(lambda _checked=False: attempt(self.onCompute))
        ui.reportButton.clicked.connect(lambda _checked=False: attempt(self.onReport))
        ui.acceptButton.clicked.connect(lambda _checked=False: attempt(self.onAccept))
        ui.wheelsButton.clicked.connect(lambda _checked=False: attempt(self.onWheels))
        for which, names in TISSUES.items():
            for name in names:
                getattr(ui, name).editingFinished.connect(lambda which=which: attempt(self.onTissue, which))
        ui.addEffectButton.clicked.connect(lambda _checked=False: attempt(self.onAddEffect))
        ui.removeEffectButton.clicked.connect(lambda _checked=False: attempt(self.onRemoveEffect))
        ui.effectCombo.currentIndexChanged.connect(lambda _index: self.panel.refresh())
        self.reportTip = ui.reportButton.toolTip
        ui.cancelButton.clicked.connect(lambda _checked=False: self.onCancel())

    def onDensity(self, value: float) -> None:
        """Density of liver and tumours."""
        self.session.change_settings(liver_density_g_ml=value)

    def onResolution(self, role: str, width_mm: float) -> None:
        """Resolution of an image; 0 means not given."""
        given = {key: value for key, value in self.session.current().settings.resolution_fwhm_mm.items() if key != role}
        self.session.change_settings(resolution_fwhm_mm={**given, role: width_mm} if width_mm > 0.0 else given)

    def onTissue(self, which: str) -> None:
        """Tissue of tumors or of the liver; both fields empty take it out, one alone waits for the other."""
        from TARECOMETLib.case.biology_box import with_tissue
        from TARECOMETLib.case.typed_injection import number_from_text

        if self.session.open() is None:
            return
        texts = [getattr(self.ui, name).text.strip() for name in TISSUES[which]]
        if bool(texts[0]) != bool(texts[1]):
            return
        values = [
            number_from_text(text, label) if text else None for text, label in zip(texts, TISSUE_WORDS, strict=True)
        ]
        self.session.change(settings=with_tissue(self.session.stored(), which, *values).settings)

    def onAddEffect(self) -> None:
        """Use the chosen published model, with the parameters that its source does not state."""
        from TARECOMETLib.case.biology_box import box_state, with_published_effect
        from TARECOMETLib.case.typed_injection import number_from_text
        from TARECOMETLib.errors import InputError

        name = currentData(self.ui.effectCombo)
        wanted = next((preset[2] for preset in box_state(self.session.stored())["presets"] if preset[0] == name), [])
        texts = self.ui.effectEdit.text.split()
        if len(texts) != len(wanted):
            words = ", ".join(words for _key, words in wanted) or _("nothing")
            raise InputError(name or _("model"), _("it needs: {words}").format(words=words), _("Type the numbers"))
        given = {key: number_from_text(text, words) for (key, words), text in zip(wanted, texts, strict=True)}
        self.session.change(settings=with_published_effect(self.session.stored(), name, given).settings)
        self.ui.effectEdit.text = ""

    def onRemoveEffect(self) -> None:
        """No longer use the chosen model."""
        from TARECOMETLib.case.biology_box import without_effect

        self.session.change(settings=without_effect(self.session.stored(), currentData(self.ui.effectCombo)).settings)

    def showBiology(self, case) -> None:
        """Tissues, models in use, and what the chosen one still needs."""
        from TARECOMETLib.case.biology_box import box_state

        ui = self.ui
        for widget in (ui.effectCombo, ui.effectEdit, ui.addEffectButton, ui.removeEffectButton):
            widget.enabled = case is not None
        for names in TISSUES.values():
            for name in names:
                getattr(ui, name).enabled = case is not None
        if case is None:
            ui.effectLabel.text = ""
            return
        box = box_state(case)
        for which, names in TISSUES.items():
            for name, key in zip(names, ("alpha_beta_gy", "repair_half_time_h"), strict=True):
                edit = getattr(ui, name)
                if not edit.hasFocus() and (box[which] or case.settings != self.shownSettings):
                    edit.text = f"{box[which][key]:g}" if key in box[which] else ""
        self.shownSettings = case.settings
        current = currentData(ui.effectCombo)
        fill(ui.effectCombo, [(name, name) for name, _tip, _wanted in box["presets"]], current)
        wanted = {name: (tip, [words for _key, words in keys]) for name, tip, keys in box["presets"]}
        tip, words = wanted.get(current, ("", []))
        ui.effectEdit.placeholderText = ", ".join(words)
        used = ", ".join(name for name, _tip in box["effects"]) or _("none")
        lines = [_("Models in use: {names}.").format(names=used), tip, box["scope"]]
        ui.effectLabel.text = "\n".join(line for line in lines if line)

    def onCompute(self) -> None:
        """Compute; the panel answers meanwhile."""
        self.panel.run(self.session.compute(), _("computing"), lambda _results: self.onView())

    def onReport(self, folder: str = "") -> None:
        """Write the report into a folder; its packages are offered where they are missing."""
        offerPackages()
        folder = folder or qt.QFileDialog.getExistingDirectory(None, _("Folder for the report"))
        if folder:
            self.panel.run(
                self.session.write(Path(folder)),
                _("writing the report"),
                lambda _written: self.panel.say(_("Written: {folder}").format(folder=folder)),
            )

    def onAccept(self) -> None:
        """Accept the chosen doubt for the typed reason."""
        from TARECOMETLib.errors import InputError

        code, reason = currentData(self.ui.doubtCombo), self.ui.reasonEdit.text.strip()
        if code is None:
            raise InputError(_("doubt"), _("none is chosen"), _("Choose one from the list"))
        if not reason:
            raise InputError(_("doubt"), _("it has no reason"), _("Type why it is accepted"))
        self.session.change(accepted={**self.session.current().accepted, code: reason})
        self.ui.reasonEdit.text = ""

    def onWheels(self) -> None:
        """Install the report's packages without internet."""
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder of wheels"))
        if folder:
            installFromFolder(Path(folder))
            self.panel.say(_("Installed from {folder}").format(folder=folder))

    def onCancel(self) -> None:
        """Stop; earlier results stay."""
        self.panel.stop()
        self.panel.say(_("Stopped. Earlier results were kept."))
        self.panel.refresh()

    def onView(self) -> None:
        """Another method or phase."""
        self.showOverlay()
        self.panel.viewStep.showAgain()
        self.panel.refresh()

    def showOverlay(self) -> None:
        """The chosen dose over the diagnostic image, in the user's slice views and in a comparison that is up."""
        from TARECOMETLib.mrml.slice_layers import show_layers

        opened, opacity = self.session.open(), self.ui.opacitySlider.value / 100.0
        if opened is None:
            return
        self.panel.viewStep.showOpacity(opacity)
        dose = opened.dose_node(currentData(self.ui.phaseShownCombo), currentData(self.ui.methodCombo))
        if dose is not None:
            show_layers(slicer.mrmlScene, opened.image_node("diagnostic"), dose, opacity)

    def show(self, case, state) -> None:
        """Show settings, what can be done, and the doses."""
        ui, actions = self.ui, state[self.name].actions
        self.panel.enable(ui.computeButton, actions["compute"], self.computeTip)
        self.panel.enable(ui.reportButton, actions["compute"], self.reportTip)
        self.panel.enable(ui.cancelButton, actions["cancel"], self.cancelTip)
        ui.densitySpin.enabled = case is not None
        if case is not None:
            setValue(ui.densitySpin, case.settings.liver_density_g_ml)
        for role, name in RESOLUTION_SPINS:
            getattr(ui, name).enabled = case is not None
            if case is not None:
                setValue(getattr(ui, name), case.settings.resolution_fwhm_mm.get(role, 0.0))
        opened = self.session.open()
        results = (opened.results() if opened is not None else None) or {}
        self.showDoses(results)
        self.showBiology(case)
        self.showFindings(case, results)

    def showDoses(self, results) -> None:
        """The table of doses."""
        from TARECOMETLib.case.interval_table import interval
        from TARECOMETLib.case.panel_table import dose_rows

        table = self.ui.doseTable
        rows = dose_rows(results, currentData(self.ui.methodCombo), currentData(self.ui.phaseShownCombo))
        table.rowCount = len(rows)
        for number, words in enumerate(rows):
            for column, word in enumerate(words):
                item = qt.QTableWidgetItem(word)
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
                if column in MEAN_COLUMNS:
                    shown = interval(results, MEAN_COLUMNS[column], currentData(self.ui.methodCombo), words[0])
                    item.setText(shown.text)
                    item.setToolTip(shown.tooltip)
                table.setItem(number, column, item)
        table.resizeColumnsToContents()

    def showFindings(self, case, results) -> None:
        """All remarks, worst first: before computing those of the inputs, after it those of the results too."""
        from TARECOMETLib.case.panel_table import finding_lines

        found = self.session.findings(case) if case is not None else []
        lines, doubts = finding_lines(found, results, case.accepted if case is not None else {})
        self.ui.findingsLabel.text = "\n".join(f"{MARKS[severity]} {text}" for severity, text in lines)
        fill(self.ui.doubtCombo, [(text, code) for code, text in doubts], currentData(self.ui.doubtCombo))
        if self.ui.doubtCombo.currentIndex < 0 and doubts:
            self.ui.doubtCombo.setCurrentIndex(0)
        for widget in (self.ui.doubtCombo, self.ui.reasonEdit, self.ui.acceptButton):
            widget.enabled = bool(doubts)
