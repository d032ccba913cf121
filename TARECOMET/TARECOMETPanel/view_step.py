"""Step 6: layouts, colors, isodoses, DVHs that follow the brush, and the dose under the crosshair."""

import qt
import slicer
from slicer.i18n import tr as _

from .step import Step, currentData, fill, fillTable

FOLLOW_AFTER_MS = 30
READOUT_AFTER_MS = 50


class ViewStep(Step):
    """See and compare."""

    name = "view"
    badge = "viewBadge"

    def bind(self) -> None:
        """Connect the widgets."""
        from TARECOMETLib.mrml.layouts import DIFFERENCE, SIDE_BY_SIDE, SOLID

        ui, attempt = self.ui, self.panel.attempt
        self.live = None
        self.comparison = None
        self.crosshair = None
        self.tips = {name: getattr(ui, name).toolTip for name in ("compareButton", "isodoseButton")}
        fill(
            ui.layoutCombo,
            [
                (_("Predicted | delivered"), SIDE_BY_SIDE),
                (_("Predicted | delivered | difference, DVH"), DIFFERENCE),
                (_("3D with isodoses, DVH"), SOLID),
            ],
            DIFFERENCE,
        )
        fill(ui.unitCombo, [("%", "%"), ("mL", "mL")], "%")
        fill(ui.scaleCombo, [(_("Dose"), False), (_("BED"), True)], False)
        ui.scaleCombo.currentIndexChanged.connect(lambda _index: attempt(self.onUnit))
        ui.isodoseEdit.text = "75 150 189"
        ui.compareButton.clicked.connect(lambda _checked=False: attempt(self.onCompare))
        ui.leaveButton.clicked.connect(lambda _checked=False: attempt(self.onLeave))
        ui.windowSpin.valueChanged.connect(lambda _value: attempt(self.onWindow))
        ui.thresholdSpin.valueChanged.connect(lambda _value: attempt(self.onWindow))
        ui.isodoseButton.clicked.connect(lambda _checked=False: attempt(self.onIsodoses))
        ui.unitCombo.currentIndexChanged.connect(lambda _index: attempt(self.onUnit))
        ui.liveCheck.toggled.connect(lambda on: attempt(self.onLive, on))
        words = [(_("not recorded"), None), (_("same"), "same"), (_("changed"), "changed")]
        fill(ui.catheterCombo, words, None)
        fill(ui.primaryCombo, [(_("not stated"), None), (_("unmatched"), "unmatched"), (_("matched"), "matched")], None)
        ui.catheterCombo.currentIndexChanged.connect(lambda _index: attempt(self.onStated))
        ui.primaryCombo.currentIndexChanged.connect(lambda _index: attempt(self.onStated))
        self.followTimer = qt.QTimer()
        self.followTimer.setSingleShot(True)
        self.followTimer.timeout.connect(self.follow)
        self.readoutTimer = qt.QTimer()
        self.readoutTimer.setSingleShot(True)
        self.readoutTimer.timeout.connect(self.showReadout)

    # --- life of the module -----------------------------------------------------------------------------

    def enter(self) -> None:
        """Listen to the crosshair; contours may have changed meanwhile."""
        self.listen()
        self.follow()

    def exit(self) -> None:
        """Nothing listens while another module is shown; the user's layout comes back."""
        self.deafen()
        self.onLeave()

    def close(self) -> None:
        """The panel goes away."""
        self.exit()
        self.letGo()

    def sceneCloses(self) -> None:
        """All nodes go; the user's layout stays."""
        self.deafen()
        self.onLeave()
        self.comparison = None
        self.letGo()

    def letGo(self) -> None:
        """Forget the engine and its copies of the dose maps."""
        self.followTimer.stop()
        self.live = None

    def listen(self) -> None:
        """Follow the crosshair, which moves with Shift held down."""
        node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        if node is not None and self.crosshair is None:
            tag = node.AddObserver(slicer.vtkMRMLCrosshairNode.CursorPositionModifiedEvent, self.onCrosshair)
            self.crosshair = (node, tag)

    def deafen(self) -> None:
        """Stop following the crosshair."""
        self.readoutTimer.stop()
        if self.crosshair is not None:
            self.crosshair[0].RemoveObserver(self.crosshair[1])
            self.crosshair = None

    def onCrosshair(self, _caller, _event=None) -> None:
        """The mouse moves many times between two readouts."""
        if not self.readoutTimer.isActive():
            self.readoutTimer.start(READOUT_AFTER_MS)

    def showReadout(self) -> None:
        """Write what lies under the crosshair."""
        from TARECOMETLib.errors import TarecometError
        from TARECOMETLib.mrml.live_dose import readout
        from TARECOMETLib.physics.nuclides import constants_set

        opened = self.session.open()
        point = [0.0, 0.0, 0.0]
        if opened is None or self.crosshair is None or not self.crosshair[0].GetCursorPositionRAS(point):
            return
        try:
            constant = constants_set(opened.stored().constants_set).gy_kg_per_gbq
            self.ui.readoutLabel.text = readout(opened, self.method(), tuple(point), constant)
        except TarecometError as error:
            self.ui.readoutLabel.text = str(error)

    # --- what a person asks -----------------------------------------------------------------------------

    def method(self) -> str:
        """Dose map chosen in the step before."""
        return currentData(self.ui.methodCombo)

    def chart(self):
        """The engine behind chart and metrics table, made on first use."""
        from TARECOMETLib.mrml.live_dose import LiveDose

        opened, unit, in_bed = self.session.open(), currentData(self.ui.unitCombo), currentData(self.ui.scaleCombo)
        known = self.live
        if (
            known is None
            or known.opened is not opened
            or (known.method, known.volume_unit, known.in_bed) != (*(self.method(), unit, in_bed),)
        ):
            self.live = LiveDose(opened, self.method(), unit, in_bed)
        else:
            self.live.update()
        return self.live

    def onCompare(self) -> None:
        """Switch to the chosen layout."""
        from TARECOMETLib.errors import InputError
        from TARECOMETLib.mrml.compare_views import Comparison

        layoutNode = self.panel.layoutNode()
        if layoutNode is None:
            raise InputError(_("layout"), _("Slicer runs without a main window"), _("Start Slicer with its window"))
        self.chart()
        if self.comparison is None:
            self.comparison = Comparison(slicer.mrmlScene, layoutNode)
        self.comparison.show(
            self.session.open(),
            currentData(self.ui.layoutCombo),
            self.method(),
            self.ui.opacitySlider.value / 100.0,
        )
        self.fitViews()
        self.comparison.center(self.session.tumour_center_ras())

    @staticmethod
    def fitViews() -> None:
        """The whole image in each view of the comparison; new slice views show 250 mm, less than a trunk."""
        from TARECOMETLib.mrml.layouts import SLICE_TAGS

        manager = slicer.app.layoutManager()
        for tag in SLICE_TAGS if manager is not None else ():
            view = manager.sliceWidget(tag)
            if view is not None:
                view.sliceLogic().FitSliceToBackground()

    @property
    def isComparing(self) -> bool:
        """Whether a comparison layout is up."""
        return self.comparison is not None and self.comparison.is_shown

    def showOpacity(self, opacity: float) -> None:
        """The dose's opacity in a comparison that is up."""
        if self.isComparing:
            self.comparison.set_opacity(opacity)

    def showAgain(self) -> None:
        """Another method or new doses: a comparison that is up follows."""
        if self.isComparing:
            self.panel.attempt(self.onCompare)

    def onStated(self) -> None:
        """Catheter position, and which resolution is primary, stated before the figures are looked at."""
        self.session.change(
            catheter_position=currentData(self.ui.catheterCombo), primary_resolution=currentData(self.ui.primaryCombo)
        )

    def showComparison(self, case) -> None:
        """Predicted against delivered, as the last calculation found them."""
        from TARECOMETLib.case.compare_panel import HEADINGS, comparison_line, comparison_rows

        ui, opened = self.ui, self.session.open()
        results = (opened.results() if opened is not None else None) or {}
        fillTable(ui.compareTable, [_(heading) for heading in HEADINGS], comparison_rows(results))
        ui.comparedLabel.text = comparison_line(results)
        for combo, value in (
            (ui.catheterCombo, case.catheter_position if case is not None else None),
            (ui.primaryCombo, case.primary_resolution if case is not None else None),
        ):
            combo.enabled = case is not None
            fill(combo, [(combo.itemText(n), combo.itemData(n)) for n in range(combo.count)], value)

    def onLeave(self) -> None:
        """Back to the user's own layout."""
        if self.comparison is not None:
            self.comparison.leave()

    def onWindow(self) -> None:
        """The same colors for all dose maps."""
        if self.session.open() is not None:
            self.session.show_window(self.ui.windowSpin.value, self.ui.thresholdSpin.value)

    def onIsodoses(self) -> None:
        """Draw isodoses of the shown dose."""
        from TARECOMETLib.case.panel_table import levels_from_text
        from TARECOMETLib.errors import InputError

        levels = levels_from_text(self.ui.isodoseEdit.text)
        unreached = self.session.draw_isodoses(levels, currentData(self.ui.phaseShownCombo), self.method())
        if len(unreached) == len(levels):
            raise InputError(
                _("isodoses"), _("no voxel reaches any of these levels"), _("Choose lower levels or another dose")
            )

    def onUnit(self) -> None:
        """Volume in % or mL, over dose or BED."""
        if self.live is not None:
            self.chart()

    def onLive(self, on: bool) -> None:
        """Follow the brush, or stop."""
        if on:
            self.chart()
        else:
            self.letGo()

    def follow(self) -> None:
        """After a stroke: chart and metrics follow, if the person wants it."""
        from TARECOMETLib.errors import TarecometError

        if self.live is None or not self.ui.liveCheck.checked or self.panel.busy:
            return
        try:
            self.live.update()
        except TarecometError as error:
            self.ui.liveCheck.checked = False
            self.panel.say(str(error))

    def strokeSoon(self) -> None:
        """Called at each change of voxels."""
        if self.live is not None and self.ui.liveCheck.checked:
            self.followTimer.start(FOLLOW_AFTER_MS)

    def show(self, case, state) -> None:
        """Enable what can be done, and show predicted against delivered."""
        self.showComparison(case)
        ui, actions = self.ui, state[self.name].actions
        from TARECOMETLib.mrml.layouts import SOLID

        wanted = "look" if currentData(ui.layoutCombo) == SOLID else "compare"
        self.panel.enable(ui.compareButton, actions[wanted], self.tips["compareButton"])
        self.panel.enable(ui.isodoseButton, actions["look"], self.tips["isodoseButton"])
        ui.leaveButton.enabled = self.isComparing
        for widget in (ui.windowSpin, ui.thresholdSpin, ui.unitCombo, ui.scaleCombo, ui.liveCheck):
            widget.enabled = actions["look"].enabled
        if not actions["look"].enabled and ui.liveCheck.checked:
            ui.liveCheck.blockSignals(True)
            ui.liveCheck.checked = False
            ui.liveCheck.blockSignals(False)
            self.letGo()
