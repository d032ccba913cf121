"""Runs the module's own files without the Slicer application: PySide6 in the place of PythonQt.

Modules named ``qt`` and ``ctk`` go into ``sys.modules``. Their classes are subclasses of PySide6's with one Python
property for each Qt property, as PythonQt has them, and the setters kept: ``spin.value = 3`` and
``spin.setValue(3)`` both work. Slicer's own widgets are stand-ins that have the members of the true classes which
the panel may use, and no others; ``test_stand_ins`` compares them with lists read out of Slicer's headers.
What it looks like says nothing about Slicer's look.
"""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any, ClassVar

ROOT = Path(__file__).resolve().parents[2]
# Names that Qt itself calls as methods on a Python subclass: a property in their place would break layouts.
_VIRTUAL = {"sizeHint", "minimumSizeHint", "event", "metric"}
_HAVE_NO_PLACE = {"destroyed", "objectNameChanged"}


def _with_properties(base: Any) -> Any:
    """A subclass of a Qt class whose Qt properties are Python properties."""
    members: dict[str, Any] = {}
    meta = base.staticMetaObject
    for n in range(meta.propertyCount()):
        name = meta.property(n).name()
        if name in _VIRTUAL:
            continue

        def read(self: Any, name: str = name) -> Any:
            return self.property(name)

        def write(self: Any, value: Any, name: str = name) -> None:
            if not self.setProperty(name, value):
                raise AttributeError(f"{type(self).__name__} has no property {name}")

        members[name] = property(read, write)
    members["name"] = property(lambda self: self.property("objectName"), lambda self, v: self.setObjectName(v))
    return type(base.__name__, (base,), members)


class QtModule(types.ModuleType):
    """``import qt``: classes of QtCore, QtGui and QtWidgets under one name."""

    def __init__(self) -> None:
        super().__init__("qt")
        from PySide6 import QtCore, QtGui, QtWidgets

        self._parts = (QtCore, QtGui, QtWidgets)
        self._made: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "QUiLoader":
            return UiLoader
        if name not in self._made:
            source = next((getattr(part, name) for part in self._parts if hasattr(part, name)), None)
            if source is None:
                raise AttributeError(f"module 'qt' has no attribute '{name}'")
            from PySide6 import QtCore

            is_object = isinstance(source, type) and issubclass(source, QtCore.QObject)
            self._made[name] = _with_properties(source) if is_object else source
        return self._made[name]


def _stand_ins(qt: Any) -> dict[str, Any]:
    """Slicer's and CTK's own widgets, as far as the panel uses them."""
    from PySide6 import QtCore

    class qMRMLWidget(qt.QWidget):
        mrmlSceneChanged = QtCore.Signal(object)

        def setMRMLScene(self, scene: Any) -> None:
            for child in self.findChildren(QtCore.QObject):
                if isinstance(child, qMRMLNodeComboBox):
                    child.setMRMLScene(scene)

    class qMRMLNodeComboBox(qt.QWidget):
        currentNodeChanged = QtCore.Signal(object)
        nodeActivated = QtCore.Signal(object)

        def __init__(self, parent: Any = None) -> None:
            super().__init__(parent)
            self._scene, self._node, self._types = None, None, []

        nodeTypes = property(lambda self: self._types, lambda self, value: setattr(self, "_types", list(value)))
        currentNodeID = property(lambda self: self._node.GetID() if self._node is not None else "")

        def setProperty(self, name: str, value: Any) -> bool:
            if name == "nodeTypes":
                self._types = list(value)
            super().setProperty(name, value)
            return True

        def setMRMLScene(self, scene: Any) -> None:
            self._scene = scene

        def currentNode(self) -> Any:
            if self._node is not None and not self._scene.IsNodePresent(self._node):
                self._node = None
            return self._node

        def setCurrentNode(self, node: Any) -> None:
            if node is not self.currentNode():
                self._node = node
                self.currentNodeChanged.emit(node)

    class ctkCollapsibleButton(qt.QWidget):
        def __init__(self, parent: Any = None) -> None:
            super().__init__(parent)
            self._text, self._collapsed = "", False

        def setProperty(self, name: str, value: Any) -> bool:
            if name in ("text", "collapsed"):
                setattr(self, f"_{name}", value)
            super().setProperty(name, value)
            return True

        text = property(lambda self: self._text, lambda self, value: setattr(self, "_text", value))
        collapsed = property(lambda self: self._collapsed, lambda self, value: setattr(self, "_collapsed", value))

    class qMRMLSegmentEditorWidget(qt.QWidget):
        def __init__(self, parent: Any = None) -> None:
            super().__init__(parent)
            import slicer

            self._scene = self._parameters = self._source = None
            self._effect: Any = None
            self._history = slicer.vtkSegmentationHistory()
            self.has_shortcuts = self.observes_views = self.shows_source = False
            self.log: list[str] = []

        def setMRMLScene(self, scene: Any) -> None:
            self._scene = scene

        def setMRMLSegmentEditorNode(self, node: Any) -> None:
            self._parameters = node

        def mrmlSegmentEditorNode(self) -> Any:
            return self._parameters

        def segmentationNode(self) -> Any:
            return self._parameters.GetSegmentationNode() if self._parameters is not None else None

        def setSegmentationNode(self, node: Any) -> None:
            if self._parameters is not None:
                self._parameters.SetAndObserveSegmentationNode(node)
            if node is not None:
                self._history.SetSegmentation(node.GetSegmentation())

        def sourceVolumeNode(self) -> Any:
            return self._source

        def setSourceVolumeNode(self, node: Any) -> None:
            self._source = node

        def setMaximumNumberOfUndoStates(self, number: int) -> None:
            self._history.SetMaximumNumberOfStates(number)

        def saveStateForUndo(self) -> None:
            self._history.SaveState()

        def undo(self) -> None:
            self._history.RestorePreviousState()

        def setActiveEffect(self, effect: Any) -> None:
            self._effect = effect

        def installKeyboardShortcuts(self, parent: Any = None) -> None:
            self.has_shortcuts = True

        def uninstallKeyboardShortcuts(self) -> None:
            self.has_shortcuts = False

        def removeViewObservations(self) -> None:
            self.observes_views = False

        def updateWidgetFromMRML(self) -> None:
            pass

        def updateEffectList(self) -> None:
            self.log.append("effects")

        def setAutoShowSourceVolumeNode(self, shown: bool) -> None:
            self.shows_source = shown

        def setSegmentationNodeSelectorVisible(self, visible: bool) -> None:
            pass

        def setSwitchToSegmentationsButtonVisible(self, visible: bool) -> None:
            pass

    class qSlicerSegmentEditorEffectFactory:
        """One for the application; a registered effect calls those who are connected."""

        listeners: ClassVar[list[Any]] = []

        @classmethod
        def instance(cls) -> Any:
            return cls

        @classmethod
        def connect(cls, signal: str, listener: Any) -> bool:
            assert signal == "effectRegistered(QString)"
            cls.listeners.append(listener)
            return True

        @classmethod
        def disconnect(cls, signal: str, listener: Any) -> bool:
            assert signal == "effectRegistered(QString)"
            cls.listeners.remove(listener)
            return True

    import slicer

    slicer.qSlicerSegmentEditorEffectFactory = qSlicerSegmentEditorEffectFactory
    made = (qMRMLWidget, qMRMLNodeComboBox, ctkCollapsibleButton, qMRMLSegmentEditorWidget)
    return {c.__name__: c for c in made}


class UiLoader:
    """Builds the real .ui file with the classes above."""

    def load(self, file: Any) -> Any:
        """Widget of a .ui file.

        :param file: QFile or path.
        """
        from PySide6 import QtCore, QtUiTools

        qt = sys.modules["qt"]
        stand_ins = HOST.stand_ins

        class Loader(QtUiTools.QUiLoader):
            def createWidget(self, class_name: str, parent: Any = None, name: str = "") -> Any:
                kind = stand_ins.get(class_name) or getattr(qt, class_name)
                widget = kind(parent)
                widget.setObjectName(name)
                HOST.alive.append(widget)
                return widget

        path = file if isinstance(file, (str, Path)) else file.fileName()
        loader = Loader()
        device = QtCore.QFile(str(path))
        device.open(QtCore.QFile.OpenModeFlag.ReadOnly)
        # Qt's own loader cannot connect the stand-ins' scene slot; qMRMLWidget.setMRMLScene passes the scene on.
        text = bytes(device.readAll()).decode()
        start, end = text.find("<connections>"), text.find("</connections>")
        buffer = QtCore.QBuffer()
        buffer.setData((text[:start] + "<connections>" + text[end:]).encode())
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        return loader.load(buffer)


class SlicerApplication:
    """What the panel asks of ``slicer.app``."""

    @staticmethod
    def layoutManager() -> Any:
        """None, as with ``--no-main-window``."""
        return None

    @staticmethod
    def processEvents() -> None:
        """Let timers and signals run."""
        HOST.application.processEvents()


class Host:
    """Puts everything in its place and imports TARECOMET.py."""

    def __init__(self) -> None:
        self.alive: list[Any] = []
        self.stand_ins: dict[str, Any] = {}
        self.errors: list[str] = []

    def start(self) -> None:
        """Once in a process."""
        if self.stand_ins:
            return
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        from PySide6 import QtWidgets

        self.application = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
        qt = QtModule()
        sys.modules["qt"] = qt
        sys.modules["ctk"] = types.ModuleType("ctk")
        self.stand_ins = _stand_ins(qt)
        import slicer
        import slicer.util

        for name in ("qMRMLSegmentEditorWidget", "qMRMLNodeComboBox", "qMRMLWidget"):
            setattr(slicer, name, self.stand_ins[name])
        slicer.app = SlicerApplication()
        slicer.modules = types.SimpleNamespace()
        slicer.util.errorDisplay = lambda text, **_more: self.errors.append(text)
        slicer.util.loadUI = lambda path: UiLoader().load(path)
        translation = types.ModuleType("slicer.i18n")
        translation.tr = lambda text: text
        translation.translate = lambda _context, text: text
        sys.modules["slicer.i18n"] = slicer.i18n = translation
        sys.modules["slicer.ScriptedLoadableModule"] = slicer.ScriptedLoadableModule = _module_classes()
        for folder in (ROOT, ROOT / "TARECOMET"):
            if str(folder) not in sys.path:
                sys.path.insert(0, str(folder))

    def widget(self, scene: Any) -> Any:
        """The module's widget, set up on a scene."""
        import slicer

        slicer.mrmlScene = scene
        import TARECOMET

        widget = TARECOMET.TARECOMETWidget()
        widget.setup()
        return widget

    def settle(self) -> None:
        """Let timers run until nothing waits."""
        self.application.processEvents()


def _module_classes() -> Any:
    """The four base classes of scripted modules, as far as ours uses them."""
    import unittest

    module = types.ModuleType("slicer.ScriptedLoadableModule")

    class ScriptedLoadableModule:
        def __init__(self, parent: Any) -> None:
            self.parent = parent

    class ScriptedLoadableModuleWidget:
        def __init__(self, parent: Any = None) -> None:
            qt = sys.modules["qt"]
            self.parent = qt.QWidget()
            self.layout = qt.QVBoxLayout(self.parent)
            self.logic = None

        def setup(self) -> None:
            pass

        def resourcePath(self, name: str) -> str:
            return str(ROOT / "TARECOMET" / "Resources" / name)

        def onReload(self) -> None:
            pass

    class ScriptedLoadableModuleLogic:
        moduleName = "TARECOMET"

        def getParameterNode(self) -> Any:
            import slicer

            scene = slicer.mrmlScene
            node = scene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            if node is None:
                node = scene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
                node.UnRegister(None)
                node.SetSingletonTag(self.moduleName)
                node.SetModuleName(self.moduleName)
                node.SetName(self.moduleName)
                node = scene.AddNode(node)
            return node

    class ScriptedLoadableModuleTest(unittest.TestCase):
        pass

    for kind in (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    ):
        setattr(module, kind.__name__, kind)
    return module


HOST = Host()
