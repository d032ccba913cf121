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
        self.draft = []
        self.planTip, self.orderTip = ui.planButton.toolTip, ui.orderButton.toolTip
        ui.planButton.clicked.connect(lambda _checked=False: attempt(self.onPlan))
        presets = [
            (_("Glass, by the number of territories"), ""),
            *((text, key) for key, text in preset_names().items()),
        ]
        fill(ui.presetCombo, presets, "")
        ui.presetCombo.currentIndexChanged.connect(lambda _index: attempt(self.onSettings))
        fill(ui.bilirubinCombo, [("mg/dL", "mg/dL"), ("µmol/L", "µmol/L")], "mg/dL")
        ui.bilirubinCombo.currentIndexChanged.connect(lambda _index: attempt(self.onSettings))
        for edit in (ui.bilirubinEdit, ui.weekEdit, ui.timeZoneEdit, ui.sizesEdit):
            edit.editingFinished.connect(lambda: attempt(self.onSettings))
        ui.goalsTable.cellChanged.connect(lambda row, _column: attempt(self.onGoal, row))
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

    def texts(self):
        """What stands in the fields of goals and vials."""
        from dataclasses import replace

        from TARECOMETLib.case.plan_texts import texts_of

        ui = self.ui
        return replace(
            texts_of(self.settings()),
            preset=currentData(ui.presetCombo) or "",
            bilirubin=ui.bilirubinEdit.text,
            bilirubin_unit=currentData(ui.bilirubinCombo),
            time_zone=ui.timeZoneEdit.text,
            weeks=ui.weekEdit.text,
            sizes_gbq=ui.sizesEdit.text,
        )

    def planned(self):
        """The case whose plan is shown."""
        return self.presenter.case if self.presenter is not None else self.session.current()

    def settings(self):
        """Settings of the plan that is shown."""
        from TARECOMETLib.case.plan import settings_of

        return settings_of(self.planned())

    def onSettings(self) -> None:
        """Goals, bilirubin, treatment weeks, time zone, vial sizes, expected residual."""
        from dataclasses import replace

        from TARECOMETLib.case.plan import planned_entries
        from TARECOMETLib.case.plan_texts import settings_from_texts
        from TARECOMETLib.planning.treatment_calendar import typed_date

        if self.session.open() is None:
            return
        changed = settings_from_texts(self.texts(), self.settings())
        residual = self.ui.residualSpin.value / 100.0
        entries = tuple(replace(entry, expected_residual=residual) for entry in planned_entries(self.planned()))
        if changed.vials is not None and changed.vials.weeks:
            # The typed weeks rule: an injection dated into another one, or a vial of another, is let go of.
            weeks = [typed_date(week, _("treatment week")) for week in changed.vials.weeks]
            days = {day.date().isoformat() for week in weeks for day in changed.vials.working.in_week(week)}
            entries = tuple(e if e.date in days else replace(e, date="", vial=None) for e in entries)
        self.change(replace(changed, injections=entries))

    def change(self, settings) -> None:
        """Other settings: stored, and planned with where the uptake is known."""
        if self.presenter is None:
            self.session.change(plan=settings)
            return
        self.presenter.change(settings)
        self.keep()

    def goals(self):
        """Goals in force."""
        from TARECOMETLib.case.plan import planned_entries, spheres_of
        from TARECOMETLib.case.plan_document import plan_goals

        case = self.planned()
        territories = len({entry.territory for entry in planned_entries(case)})
        return plan_goals(self.settings(), territories, spheres_of(case))

    def onGoal(self, row: int) -> None:
        """A goal was typed: it takes the place of the published one; without figures the published one comes back."""
        from dataclasses import replace

        from TARECOMETLib.case.plan_texts import GOAL_COLUMNS, goal_from_texts

        table, goals = self.ui.goalsTable, self.goals()
        items = [table.item(row, column) for column in range(len(GOAL_COLUMNS))]
        cells = [item.text().strip() if item is not None else "" for item in items]
        before = goals[row] if row < len(goals) else None
        settings = self.settings()
        kept = tuple(goal for goal in settings.goals if goal != before)
        has_figure = bool(cells[2] or cells[3])
        if before is None and not (cells[0] and has_figure):
            self.draft = cells
            return
        if before is None or has_figure:
            kept = (*kept, goal_from_texts(cells, before))
        self.draft = []
        self.change(replace(settings, goals=kept))

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
        from TARECOMETLib.case.plan_panel import CRITERION_HEADINGS, MODEL_HEADINGS, VIAL_HEADINGS

        ui = self.ui
        if self.presenter is not None and not self.session.plan_fits(self.presenter):
            self.presenter = None
        actions = state[self.name].actions
        view = self.presenter.view if self.presenter is not None else None
        self.panel.enable(ui.planButton, actions["plan"], self.planTip)
        for button in (ui.orderButton, ui.takeOverButton):
            self.panel.enable(button, actions["order"], self.orderTip if button is ui.orderButton else self.takeTip())
        inputs = (ui.presetCombo, ui.bilirubinEdit, ui.bilirubinCombo, ui.goalsTable, ui.weekEdit, ui.timeZoneEdit)
        for widget in (*inputs, ui.sizesEdit, ui.residualSpin):
            widget.enabled = case is not None
        if case is not None:
            self.showSettings()
        ui.activitiesTable.enabled = ui.vialsTable.enabled = view is not None
        rows = [(name, f"{gbq:.3f}") for name, gbq in view.activities] if view is not None else []
        fillTable(ui.activitiesTable, [_("Injection"), _("Net (GBq)")], rows, editable={1})
        fillTable(ui.modelsTable, [_(h) for h in MODEL_HEADINGS], view.models if view is not None else ())
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

    def showSettings(self) -> None:
        """Show goals, calendar and residual, not under a person's hand."""
        from TARECOMETLib.case.plan_texts import GOAL_COLUMNS, goal_texts, texts_of

        ui, settings = self.ui, self.settings()
        texts = texts_of(settings)
        for combo, value in ((ui.presetCombo, texts.preset), (ui.bilirubinCombo, texts.bilirubin_unit)):
            fill(combo, [(combo.itemText(n), combo.itemData(n)) for n in range(combo.count)], value)
        shown = [(ui.bilirubinEdit, texts.bilirubin), (ui.sizesEdit, texts.sizes_gbq)]
        if settings.vials is not None:
            shown += [(ui.timeZoneEdit, texts.time_zone), (ui.weekEdit, texts.weeks)]
        for edit, text in shown:
            if not edit.hasFocus():
                edit.text = text
        if settings.injections:
            setValue(ui.residualSpin, 100.0 * settings.injections[0].expected_residual)
        rows = [goal_texts(goal) for goal in self.goals()]
        rows.append(self.draft or [""] * len(GOAL_COLUMNS))
        fillTable(ui.goalsTable, [_(column) for column in GOAL_COLUMNS], rows, editable=True)

    def takeTip(self) -> str:
        """Tooltip of the button that takes the order over."""
        return _("Enter the order's vials (GBq), residuals and hours as injections in the step Treatment.")
