"""The panel as a whole: its steps, their badges, messages, and the work that runs behind them."""

import qt
import slicer
from slicer.i18n import tr as _

from .contours_step import ContoursStep
from .dose_step import DoseStep
from .images_step import ImagesStep
from .plan_step import PlanStep
from .study_step import StudyStep
from .treatment_step import TreatmentStep
from .view_step import ViewStep

# Icon and word tell a badge apart, not color alone.
BADGE_ICONS = {"to do": "○", "ready": "▷", "done": "✔", "outdated": "↻", "problem": "⚠"}
REFRESH_AFTER_MS = 300


class Panel:
    """Binds the widgets of the .ui file to the logic's session.

    :param ui: named widgets.
    :param logic: TARECOMETLogic.
    :param url: the project's home page.
    """

    def __init__(self, ui, logic, url: str):
        self.ui = ui
        self.logic = logic
        self.busy = ""
        self.entered = False
        self._steps = None
        self._whenDone = None
        self._updating = False
        ui.versionLabel.text = _("Library version {version}").format(version=logic.libraryVersion())
        ui.documentationButton.clicked.connect(lambda _checked=False: qt.QDesktopServices.openUrl(qt.QUrl(url)))
        self.runTimer = qt.QTimer()
        self.runTimer.setSingleShot(True)
        self.runTimer.timeout.connect(self._runStep)
        self.refreshTimer = qt.QTimer()
        self.refreshTimer.setSingleShot(True)
        self.refreshTimer.timeout.connect(self.refresh)
        self.sceneTimer = qt.QTimer()
        self.sceneTimer.setSingleShot(True)
        self.sceneTimer.timeout.connect(self._afterSceneChange)
        self.viewStep = ViewStep(self)
        self.planStep = PlanStep(self)
        self.steps = [
            *(ImagesStep(self), ContoursStep(self), self.planStep),
            *(TreatmentStep(self), DoseStep(self), self.viewStep, StudyStep(self)),
        ]

    @property
    def session(self):
        """The open patient."""
        return self.logic.session()

    # --- life of the module -----------------------------------------------------------------------------

    def enter(self) -> None:
        """The module is shown."""
        self.entered = True
        for step in self.steps:
            step.enter()
        self.refresh()

    def exit(self) -> None:
        """Another module is shown."""
        self.entered = False
        for step in self.steps:
            step.exit()

    def close(self) -> None:
        """The panel goes away: nothing may run on or listen on."""
        self.stop()
        for timer in (self.refreshTimer, self.sceneTimer):
            timer.stop()
        for step in self.steps:
            step.close()
        # After a reload the old widgets live on for a while; they must not act on the scene.
        self._updating = True

    def sceneCloses(self) -> None:
        """All nodes go."""
        self.stop()
        for step in self.steps:
            step.sceneCloses()

    def sceneChanged(self) -> None:
        """A scene was closed or brought in: act when Slicer has finished with it, its widgets wait until then too."""
        self.sceneTimer.start(0)

    def _afterSceneChange(self) -> None:
        if self.entered:
            for step in self.steps:
                step.enter()
        self.refresh()

    # --- what is shown ----------------------------------------------------------------------------------

    def refreshSoon(self, *_arguments: object) -> None:
        """Refresh when the hand rests; voxels may change many times a second. Not behind another module."""
        if not self.entered:
            return
        self.refreshTimer.start(REFRESH_AFTER_MS)
        self.viewStep.strokeSoon()

    def refresh(self) -> None:
        """Show the scene as it is now."""
        if self._updating:
            return
        self._updating = True
        try:
            from TARECOMETLib.errors import TarecometError

            try:
                opened = self.session.open()
                case = self.session.current() if opened is not None else None
                state = self.session.state(self.busy, self.planStep.presenter)
            except TarecometError as error:
                self.say(str(error))
                return
            for step in self.steps:
                step.show(case, state)
                self._showBadge(step.badgeLabel, state[step.name])
        finally:
            self._updating = False

    @staticmethod
    def _showBadge(label, state) -> None:
        label.text = f"{BADGE_ICONS[state.badge]} {_(state.badge)}: {state.text}"

    @staticmethod
    def enable(button, action, tip: str) -> None:
        """Enable a button, or disable it and let its tooltip say why."""
        button.enabled = action.enabled
        button.toolTip = tip if action.enabled else _("Not now. {reason}").format(reason=action.reason)

    def say(self, text: str) -> None:
        """One line above the steps; empty clears it."""
        self.ui.messageLabel.text = text

    def attempt(self, work, *arguments: object) -> bool:
        """Do what a person asked; a refusal becomes the line above the steps."""
        if self._updating:
            return False
        from TARECOMETLib.errors import TarecometError

        try:
            work(*arguments)
        except TarecometError as error:
            self.say(str(error))
            self.refresh()
            return False
        except Exception:
            self._fault(_("This did not work; nothing that was there before is lost. See the log for the cause."))
            raise
        self.say("")
        self.refresh()
        return True

    def _fault(self, text: str) -> None:
        """A fault of ours or of another extension: said once, its trace goes to the log."""
        self.refresh()
        slicer.util.errorDisplay(text)

    @staticmethod
    def layoutNode():
        """The application's layout node, None without a main window."""
        manager = slicer.app.layoutManager()
        return None if manager is None else manager.layoutLogic().GetLayoutNode()

    def loadSample(self, folder) -> None:
        """Make and load the sample patient.

        :param folder: where its DICOM files go; an earlier one there is replaced.
        """
        from TARECOMETLib.mrml.sample_patient import load_sample_patient

        self.run(load_sample_patient(self.session, folder), _("making the sample patient"))

    # --- work that takes longer -------------------------------------------------------------------------

    def run(self, steps, what: str, whenDone=None) -> None:
        """Run a generator of (share, text) by a timer, so that the panel answers and Cancel works.

        :param steps: generator.
        :param what: shown while it runs.
        :param whenDone: called with the generator's value.
        """
        if self._steps is not None:
            return
        self._steps, self._whenDone, self.busy = steps, whenDone, what
        self.say("")
        self.refresh()
        self.runTimer.start(0)

    def stop(self) -> None:
        """End what runs; what was there before stays."""
        if self._steps is None:
            return
        self.runTimer.stop()
        self._steps.close()
        self._finish()

    def _finish(self) -> None:
        self._steps, self._whenDone, self.busy = None, None, ""
        self.ui.progressBar.value = 0

    def _runStep(self) -> None:
        from TARECOMETLib.errors import TarecometError

        if self._steps is None:
            return
        try:
            try:
                share, what = next(self._steps)
            except StopIteration as stop:
                whenDone = self._whenDone
                self._finish()
                if whenDone is not None:
                    whenDone(stop.value)
                self.refresh()
                return
        except TarecometError as error:
            self._finish()
            self.say(str(error))
            self.refresh()
            return
        except Exception:
            self._finish()
            self._fault(_("The calculation failed; earlier results were kept. See the log for the cause."))
            raise
        self.ui.progressBar.value = round(100.0 * share)
        self.ui.progressBar.toolTip = what
        self.ui.doseBadge.text = f"{BADGE_ICONS['ready']} {what}"
        self.runTimer.start(0)
