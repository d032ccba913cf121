"""Step 4: injections, lung shunt, constants."""

import qt
from slicer.i18n import tr as _

from .step import Step, currentData, fill, setValue

METHODS = ("entered", "planar", "SPECT")


class TreatmentStep(Step):
    """What was injected, where, and when."""

    name = "treatment"
    badge = "treatmentBadge"

    def bind(self) -> None:
        """Connect the widgets."""
        ui, attempt = self.ui, self.panel.attempt
        self.territories = []
        fill(ui.lungShuntMethodCombo, [(_(method), method) for method in METHODS], "entered")
        ui.injectionsTable.cellChanged.connect(lambda _row, _column: attempt(self.onTyped))
        ui.addInjectionButton.clicked.connect(lambda _checked=False: attempt(self.onAdd))
        ui.removeInjectionButton.clicked.connect(lambda _checked=False: attempt(self.onRemove))
        ui.lungShuntSpin.valueChanged.connect(lambda percent: attempt(self.onShunt, percent))
        ui.lungShuntMethodCombo.currentIndexChanged.connect(lambda _index: attempt(self.onShuntMethod))
        ui.constantsCombo.currentIndexChanged.connect(lambda _index: attempt(self.onConstants))

    def onAdd(self) -> None:
        """A row for another injection; it reaches the case when it is complete."""
        table = self.ui.injectionsTable
        table.blockSignals(True)
        table.rowCount = table.rowCount + 1
        self.fillRow(table.rowCount - 1, self.territories[0] if len(self.territories) == 1 else "", ["", "", "0", ""])
        table.blockSignals(False)

    def onRemove(self) -> None:
        """Take the chosen injection out."""
        from TARECOMETLib.errors import InputError

        table = self.ui.injectionsTable
        row = table.currentRow()
        if row < 0:
            raise InputError(_("injections"), _("no row is chosen"), _("Choose the injection's row"))
        injections = self.session.current().injections
        if row < len(injections):
            self.session.change(injections=(*injections[:row], *injections[row + 1 :]))
        table.blockSignals(True)
        table.removeRow(row)
        table.blockSignals(False)

    def cell(self, row: int, column: int) -> str:
        """Text of a cell."""
        item = self.ui.injectionsTable.item(row, column)
        return item.text().strip() if item is not None else ""

    def onTyped(self) -> None:
        """Take all complete rows into the case; an incomplete one waits."""
        from TARECOMETLib.case.typed_injection import injection_from_text

        previous = self.session.current().injections
        typed = []
        for row in range(self.ui.injectionsTable.rowCount):
            territory = currentData(self.ui.injectionsTable.cellWidget(row, 0)) or ""
            words = [self.cell(row, column) for column in (1, 2, 3, 4)]
            if not territory or not words[1] or not words[3]:
                continue
            before = previous[row] if row < len(previous) else None
            typed.append(injection_from_text(f"injection {row + 1}", territory, *words, before=before))
        self.session.change(injections=tuple(typed))

    def onShunt(self, percent: float) -> None:
        """Lung shunt, typed in per cent."""
        self.session.change(lung_shunt_fraction=percent / 100.0)

    def onShuntMethod(self) -> None:
        """How the lung shunt was found."""
        self.session.change(lung_shunt_method=currentData(self.ui.lungShuntMethodCombo))

    def onConstants(self) -> None:
        """Decay data set."""
        self.session.change(constants_set=currentData(self.ui.constantsCombo))

    def show(self, case, state) -> None:
        """Show the treatment."""
        from TARECOMETLib.physics.nuclides import nuclides

        ui = self.ui
        sets = nuclides()["Y-90"].constants_sets
        fill(
            ui.constantsCombo,
            [(f"{s.name}: {s.half_life_h:g} h, {s.gy_kg_per_gbq:.3f} Gy kg/GBq", s.name) for s in sets],
            case.constants_set if case is not None else None,
        )
        for widget in (
            ui.injectionsTable,
            ui.addInjectionButton,
            ui.removeInjectionButton,
            ui.lungShuntSpin,
            ui.lungShuntMethodCombo,
            ui.constantsCombo,
        ):
            widget.enabled = case is not None
        if case is None:
            ui.injectionsTable.rowCount = 0
            ui.netLabel.text = ""
            return
        setValue(ui.lungShuntSpin, 100.0 * case.lung_shunt_fraction)
        fill(ui.lungShuntMethodCombo, [(_(method), method) for method in METHODS], case.lung_shunt_method)
        self.showInjections(case)
        self.showNet(case)

    def showInjections(self, case) -> None:
        """Rows of the case; what is being typed below them stays."""
        from TARECOMETLib.case.typed_injection import injection_texts

        table = self.ui.injectionsTable
        territories = case.contours_of("territory") + case.contours_of("liver")
        changed = territories != self.territories
        self.territories = territories
        table.blockSignals(True)
        table.rowCount = max(table.rowCount, len(case.injections))
        for row, injection in enumerate(case.injections):
            words = injection_texts(injection)
            if changed or [self.cell(row, n) for n in (1, 2, 3, 4)] != words or table.cellWidget(row, 0) is None:
                self.fillRow(row, injection.territory, words)
        table.resizeColumnsToContents()
        table.blockSignals(False)

    def fillRow(self, row: int, territory: str, words) -> None:
        """Write one row."""
        table = self.ui.injectionsTable
        combo = table.cellWidget(row, 0)
        if combo is None:
            combo = qt.QComboBox()
            combo.toolTip = _("Territory that was injected")
            combo.currentIndexChanged.connect(lambda _index: self.panel.attempt(self.onTyped))
            table.setCellWidget(row, 0, combo)
        names = self.territories if territory in ("", *self.territories) else [*self.territories, territory]
        fill(combo, [("", ""), *((name, name) for name in names)], territory)
        for column, word in enumerate(words, start=1):
            table.setItem(row, column, qt.QTableWidgetItem(word))

    def showNet(self, case) -> None:
        """Net activity as typed, and the balance of the last calculation."""
        net_mbq = sum(injection.net_mbq for injection in case.injections)
        lines = [
            _("Net activity: {net:.3f} GBq in {count} injection(s).").format(
                net=net_mbq / 1000.0, count=len(case.injections)
            )
        ]
        balance = self.session.typed_balance(case)
        for phase, (ratio, judgement) in balance.items():
            lines.append(
                _("{phase}: liver and lungs hold {ratio:.2f} of it ({judgement}).").format(
                    phase=_(phase), ratio=ratio, judgement=_(judgement)
                )
            )
        self.ui.netLabel.text = "\n".join(lines)
