"""Step 7: the open case into the study, the cohort, follow-up, analysis and its charts."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from .packages import REPORT_PACKAGES, STUDY_PACKAGES, STUDY_PURPOSE, offerPackages
from .step import Step, currentData, fill, fillTable


class StudyStep(Step):
    """Many patients: the scene keeps the path and hash of the study, and nothing of its patients."""

    name = "study"
    badge = "studyBadge"

    def bind(self) -> None:
        """Connect the widgets."""
        from TARECOMETLib.case.study_panel import FOLLOW_UP_TABLES

        ui, attempt = self.ui, self.panel.attempt
        self.rows = []
        self.charts = []
        self.tips = {name: getattr(ui, name).toolTip for name in ("addCaseButton", "analyseButton")}
        ui.studyEdit.editingFinished.connect(lambda: attempt(self.onPath, ui.studyEdit.text))
        ui.studyButton.clicked.connect(lambda _checked=False: attempt(self.onChoose))
        ui.addCaseButton.clicked.connect(lambda _checked=False: attempt(self.onAdd))
        ui.analyseButton.clicked.connect(lambda _checked=False: attempt(self.onAnalyse))
        fill(ui.followUpCombo, [(_(name.replace("_", " ")), name) for name in FOLLOW_UP_TABLES], "patients")
        ui.followUpCombo.currentIndexChanged.connect(lambda _index: self.panel.refresh())
        ui.cohortTable.currentCellChanged.connect(lambda *_cells: self.panel.refresh())
        ui.followUpTable.cellChanged.connect(lambda row, column: attempt(self.onFollowUp, row, column))
        ui.chartCombo.currentIndexChanged.connect(lambda index: attempt(self.onChart, index))

    def sceneCloses(self) -> None:
        """Charts are nodes of the scene."""
        self.charts = []

    # --- what a person asks -----------------------------------------------------------------------------

    def onPath(self, text: str) -> None:
        """Use the study at this path; a new one is made where there is none."""
        self.session.choose_study(Path(text.strip()) if text.strip() else None)

    def onChoose(self) -> None:
        """Choose a study file, or the name of a new one."""
        name = qt.QFileDialog.getSaveFileName(
            None, _("Study file"), "", _("Study (*.sqlite)"), "", qt.QFileDialog.DontConfirmOverwrite
        )
        # PySide hands over the filter too, PythonQt the name alone.
        name = name if isinstance(name, str) else name[0]
        if name:
            self.onPath(name)

    def onAdd(self) -> None:
        """Add the open case."""
        self.panel.run(
            self.session.adding_to_study(),
            _("adding the case to the study"),
            lambda changes: self.panel.say(_("{count} values were new or changed.").format(count=changes)),
        )

    def onFollowUp(self, row: int, column: int) -> None:
        """A typed value goes into the study, with its trace."""
        from TARECOMETLib.case.study_panel import edit_follow_up

        if row < len(self.rows):
            entry = self.rows[row]
            name = list(entry.values)[column]
            text = self.ui.followUpTable.item(row, column).text()
            edit_follow_up(self.session.study_path(), entry.table, entry.key, {name: text})
            self.session.choose_study(self.session.study_path())

    def onAnalyse(self, folder: str = "") -> None:
        """Run the analysis of the locked plan, and leave report, tables and figures in a folder."""
        offerPackages((*REPORT_PACKAGES, *STUDY_PACKAGES), STUDY_PURPOSE)
        folder = folder or qt.QFileDialog.getExistingDirectory(None, _("Folder for the analysis"))
        if folder:
            self.panel.run(
                self.session.analysing_study(Path(folder)),
                _("analysing the study"),
                lambda charts: self.onAnalysed(folder, charts),
            )

    def onAnalysed(self, folder: str, charts) -> None:
        """Charts can be looked at."""
        self.charts = charts
        fill(self.ui.chartCombo, [(chart.GetName(), chart.GetID()) for chart in charts], None)
        self.panel.say(_("Written: {folder}").format(folder=folder))

    def onChart(self, index: int) -> None:
        """Show a chart in the layout's plot view."""
        if 0 <= index < len(self.charts) and hasattr(slicer.modules, "plots"):
            slicer.modules.plots.logic().ShowChartInLayout(self.charts[index])

    # --- what is shown ----------------------------------------------------------------------------------

    def show(self, case, state) -> None:
        """Show study, cohort and the chosen patient's follow-up."""
        from TARECOMETLib.case.study_panel import ADD, ANALYSE, EDIT, cohort_table, follow_up, follow_up_fields

        ui, actions = self.ui, state[self.name].actions
        path = self.session.study_path()
        if not ui.studyEdit.hasFocus():
            ui.studyEdit.text = str(path) if path is not None else ""
        self.panel.enable(ui.addCaseButton, actions[ADD], self.tips["addCaseButton"])
        self.panel.enable(ui.analyseButton, actions[ANALYSE], self.tips["analyseButton"])
        ui.followUpCombo.enabled = ui.followUpTable.enabled = actions[EDIT].enabled
        ui.chartCombo.enabled = bool(self.charts)
        headings, cohort, self.rows, titles = (), [], [], []
        if actions[EDIT].enabled:
            headings, cohort = cohort_table(path)
        current = ui.cohortTable.currentRow()
        fillTable(ui.cohortTable, [_(h) for h in headings], cohort)
        if 0 <= current < len(cohort):
            ui.cohortTable.blockSignals(True)
            ui.cohortTable.setCurrentCell(current, 0)
            ui.cohortTable.blockSignals(False)
            table = currentData(ui.followUpCombo)
            self.rows = [row for row in follow_up(path, cohort[current][0]) if row.table == table]
            labels = {field.name: field.label for field in follow_up_fields(table)}
            titles = [labels.get(name, name) for name in (self.rows[0].values if self.rows else ())]
        fillTable(ui.followUpTable, titles, [tuple(row.values.values()) for row in self.rows], editable=True)
