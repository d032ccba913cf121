"""Step 3: goals, the best activities, the trade-off, vials and the order sheet."""

from pathlib import Path

import qt
from slicer.i18n import tr as _

from .packages import offerPackages
from .step import Step, currentData, fill, fillTable, setValue

# Steps of the trade-off slider from its first to its last point.
SLIDER_STEPS = 200


class PlanStep(Step):
    """From goals to a vial, before treatment."""

    name = "plan"
    badge = "planBadge"

    def bind(self) -> None:
        """Connect the widgets."""
        from TARECOMETLib.planning.presets import preset_names

        ui, attempt = self.ui, self.panel.attempt
        self.presenter = None
        self.planTip, self.orderTip = ui.planButton.toolTip, ui.orderButton.toolTip
        ui.planButton.clicked.connect(lambda _checked=False: attempt(self.onPlan))
        presets = [
            (_("Glass, by the number of territories"), ""),
            *((text, key) for key, text in preset_names().items()),
        ]
        fill(ui.presetCombo, presets, "")
        ui.presetCombo.currentIndexChanged.connect(lambda _index: attempt(self.onSettings))
        ui.weekEdit.editingFinished.connect(lambda: attempt(self.onSettings))
        ui.timeZoneEdit.editingFinished.connect(lambda: attempt(self.onSettings))
        ui.residualSpin.valueChanged.connect(lambda _value: attempt(self.onSettings))
        ui.activitiesTable.cellChanged.connect(lambda row, column: attempt(self.onActivity, row, column))
        ui.tradeOffSlider.valueChanged.connect(lambda value: attempt(self.onTradeOff, value))
        ui.vialsTable.cellDoubleClicked.connect(lambda row, _column: attempt(self.onVial, row))
        ui.orderButton.clicked.connect(lambda _checked=False: attempt(self.onOrder))
        ui.takeOverButton.clicked.connect(lambda _checked=False: attempt(self.onTakeOver))

    def sceneCloses(self) -> None:
        """The uptake belongs to a patient that goes."""
        self.presenter = None

    # --- what a person asks -----------------------------------------------------------------------------

    def onPlan(self) -> None:
        """Read the uptake once; everything after that answers at once."""
        self.panel.run(self.session.planning(), _("reading the uptake"), self.onPlanned)

    def onPlanned(self, presenter) -> None:
        """The uptake is there."""
        self.presenter = presenter
        self.keep()

    def keep(self) -> None:
        """What was decided belongs to the case; the predicted DVHs follow."""
        self.session.keep_plan(self.presenter)

    def onSettings(self) -> None:
        """Goals, treatment week, time zone, expected residual."""
        from dataclasses import replace

        from TARECOMETLib.case.plan import planned_entries, settings_of
        from TARECOMETLib.case.plan_document import VialOrder
        from TARECOMETLib.planning.treatment_calendar import WorkingHours, typed_date

        ui = self.ui
        if self.session.open() is None:
            return
        case = self.presenter.case if self.presenter is not None else self.session.current()
        settings = settings_of(case)
        zone, week = ui.timeZoneEdit.text.strip(), ui.weekEdit.text.strip()
        order = settings.vials
        if zone:
            working = WorkingHours(zone) if order is None else replace(order.working, time_zone=zone)
            order = VialOrder(working) if order is None else replace(order, working=working)
            order = replace(order, weeks=(week,) if week else ())
        residual = ui.residualSpin.value / 100.0
        entries = tuple(replace(entry, expected_residual=residual) for entry in planned_entries(case))
        if zone and week:
            # The typed week rules: an injection dated into another one, or a vial of another, is let go of.
            working_days = {day.date().isoformat() for day in working.in_week(typed_date(week, _("treatment week")))}
            entries = tuple(e if e.date in working_days else replace(e, date="", vial=None) for e in entries)
        changed = replace(settings, preset=currentData(ui.presetCombo) or "", vials=order, injections=entries)
        if self.presenter is None:
            self.session.change(plan=changed)
            return
        self.presenter.change(changed)
        self.keep()

    def onActivity(self, row: int, column: int) -> None:
        """A typed net activity; empty gives it back to the plan."""
        from TARECOMETLib.errors import InputError

        if self.presenter is None or column != 1:
            return
        text = self.ui.activitiesTable.item(row, column).text().strip().replace(",", ".")
        try:
            value = float(text) if text else None
        except ValueError:
            raise InputError(
                _("net activity"), _('"{text}" is not a number').format(text=text), _("Write GBq as 2.35")
            ) from None
        self.presenter.prescribe(row, value)
        self.keep()

    def onTradeOff(self, value: int) -> None:
        """Move along the curve of tumor against normal liver dose."""
        if self.presenter is None or len(self.presenter.view.curve[0]) == 0:
            return
        low, high = self.presenter.view.curve[0][0], self.presenter.view.curve[0][-1]
        self.presenter.drag(float(low + (high - low) * value / SLIDER_STEPS))
        self.keep()

    def onVial(self, row: int) -> None:
        """Choose this vial and hour."""
        if self.presenter is not None and row < len(self.presenter.view.vial_choices):
            self.presenter.pick(*self.presenter.view.vial_choices[row])
            self.keep()

    def onOrder(self, folder: str = "") -> None:
        """Write plan, tables and order sheet into a folder."""
        from TARECOMETLib.case.plan_outputs import write_plan

        offerPackages()
        folder = folder or qt.QFileDialog.getExistingDirectory(None, _("Folder for the plan"))
        if folder:
            write_plan(self.presenter.made, Path(folder))
            self.written = folder

    def onTakeOver(self) -> None:
        """The order becomes the injections of the step Treatment, expected values to be typed over."""
        self.session.take_plan_over(self.presenter)

    # --- what is shown ----------------------------------------------------------------------------------

    def show(self, case, state) -> None:
        """Show the plan."""
        from TARECOMETLib.case.plan import settings_of
        from TARECOMETLib.case.plan_panel import CRITERION_HEADINGS, VIAL_HEADINGS

        ui = self.ui
        if self.presenter is not None and not self.session.plan_fits(self.presenter):
            self.presenter = None
        actions = state[self.name].actions
        view = self.presenter.view if self.presenter is not None else None
        self.panel.enable(ui.planButton, actions["plan"], self.planTip)
        for button in (ui.orderButton, ui.takeOverButton):
            self.panel.enable(button, actions["order"], self.orderTip if button is ui.orderButton else self.takeTip())
        for widget in (ui.presetCombo, ui.weekEdit, ui.timeZoneEdit, ui.residualSpin):
            widget.enabled = case is not None
        if case is not None:
            settings = settings_of(case)
            pairs = [(ui.presetCombo.itemText(n), ui.presetCombo.itemData(n)) for n in range(ui.presetCombo.count)]
            fill(ui.presetCombo, pairs, settings.preset)
            order = settings.vials
            if not ui.weekEdit.hasFocus():
                ui.weekEdit.text = order.weeks[0] if order is not None and order.weeks else ui.weekEdit.text
            if order is not None and not ui.timeZoneEdit.hasFocus():
                ui.timeZoneEdit.text = order.working.time_zone
            if settings.injections:
                setValue(ui.residualSpin, 100.0 * settings.injections[0].expected_residual)
        ui.activitiesTable.enabled = ui.vialsTable.enabled = view is not None
        rows = [(name, f"{gbq:.3f}") for name, gbq in view.activities] if view is not None else []
        fillTable(ui.activitiesTable, [_("Injection"), _("Net (GBq)")], rows, editable={1})
        fillTable(ui.criteriaTable, [_(h) for h in CRITERION_HEADINGS], view.criteria if view is not None else ())
        fillTable(ui.vialsTable, [_(h) for h in VIAL_HEADINGS], view.vials if view is not None else ())
        curve = view.curve[0] if view is not None else ()
        ui.tradeOffSlider.enabled = len(curve) > 1
        words = ""
        if len(curve) > 1:
            normal, margin = view.point
            words = _("Whole normal liver {normal:.1f} Gy, worst goal {margin:+.1f} Gy from its aim.").format(
                normal=normal, margin=margin
            )
            span = float(curve[-1] - curve[0]) or 1.0
            ui.tradeOffSlider.blockSignals(True)
            ui.tradeOffSlider.value = round(SLIDER_STEPS * (normal - float(curve[0])) / span)
            ui.tradeOffSlider.blockSignals(False)
        lines = [words, *view.windows, *view.notes] if view is not None else []
        ui.planLabel.text = "\n".join(line for line in lines if line)

    def takeTip(self) -> str:
        """Tooltip of the button that takes the order over."""
        return _("Enter the order's vials (GBq), residuals and hours as injections in the step Treatment.")
