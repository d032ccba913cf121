"""What all steps of the panel share."""

import qt


class Step:
    """One step: its name in the presenter's state, its badge, and what it does when the module comes and goes."""

    name = ""
    badge = ""

    def __init__(self, panel):
        self.panel = panel
        self.ui = panel.ui
        self.bind()

    @property
    def badgeLabel(self):
        """Label that carries the step's badge."""
        return getattr(self.ui, self.badge)

    @property
    def session(self):
        """The open patient."""
        return self.panel.session

    def bind(self) -> None:
        """Connect the widgets."""

    def show(self, case, state) -> None:
        """Show the case (None where no patient is open) and the state of all steps."""

    def enter(self) -> None:
        """The module is shown."""

    def exit(self) -> None:
        """Another module is shown."""

    def close(self) -> None:
        """The panel goes away."""

    def sceneCloses(self) -> None:
        """All nodes go."""


def fill(combo, pairs, current) -> None:
    """Fill a combo box with (text, data) without signals, keeping or setting the current data."""
    combo.blockSignals(True)
    if [(combo.itemText(n), combo.itemData(n)) for n in range(combo.count)] != list(pairs):
        combo.clear()
        for text, data in pairs:
            combo.addItem(text, data)
    index = next((n for n, (_text, data) in enumerate(pairs) if data == current), -1)
    combo.setCurrentIndex(index)
    combo.blockSignals(False)


def setValue(spin, value) -> None:
    """Show a value without the signal of a person's change, and not under a person's hand."""
    if not spin.hasFocus():
        spin.blockSignals(True)
        spin.setValue(value)
        spin.blockSignals(False)


def currentData(combo):
    """Data of the chosen item, None where nothing is chosen."""
    return combo.itemData(combo.currentIndex) if combo.currentIndex >= 0 else None


def fillTable(widget, headings, rows, editable=()) -> None:
    """Fill a table with texts, without signals.

    :param widget: QTableWidget.
    :param headings: of its columns.
    :param rows: sequences of text.
    :param editable: numbers of the columns that can be typed into; True for all.
    """
    widget.blockSignals(True)
    widget.columnCount = len(headings)
    widget.setHorizontalHeaderLabels(list(headings))
    widget.rowCount = len(rows)
    shown = qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable
    for number, words in enumerate(rows):
        for column, word in enumerate(words):
            item = qt.QTableWidgetItem(word)
            item.setFlags(shown | qt.Qt.ItemIsEditable if editable is True or column in editable else shown)
            widget.setItem(number, column, item)
    widget.resizeColumnsToContents()
    widget.blockSignals(False)
