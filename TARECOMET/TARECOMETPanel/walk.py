"""One walk through the panel, for two hosts: Slicer's self-test and the headless tests.

A small patient is made on the spot; then every line presses, types or chooses as a person would and says what must
be true after it.
"""

import tempfile
from pathlib import Path

import slicer

# Large voxels, so that the walk takes seconds.
SPACING_MM = 5.0


def small_patient(folder):
    """A coarse sample patient: its DICOM folder, the case made of it, and its inputs.

    :param folder: where to write.
    """
    from TARECOMETLib.case.inputs import load_inputs
    from TARECOMETLib.case.new_case import new_case
    from TARECOMETLib.case.steps import finish
    from TARECOMETLib.phantom.acquisition import AcquisitionParameters
    from TARECOMETLib.phantom.anatomy import AnatomyParameters
    from TARECOMETLib.phantom.sample_patient import PhantomParameters, make_sample_patient

    parameters = PhantomParameters(
        anatomy=AnatomyParameters(spacing_mm=(SPACING_MM,) * 3),
        acquisition=AcquisitionParameters(
            spect_spacing_mm=(9.0, 9.0, 9.0), pet_spacing_mm=(8.0, 8.0, 7.0), ct_in_plane_mm=7.0
        ),
    )
    place = make_sample_patient(Path(folder) / "patient", parameters=parameters)
    made = finish(new_case(place, place))
    return place, made, finish(load_inputs(made.case, made.files, place))


def load_images(scene, panel, place, made, inputs):
    """The patient's images as loaded volumes whose DICOM files are known."""
    from TARECOMETLib.mrml.volumes import write_volume

    files = {}
    for role, volume in inputs.images.items():
        node = write_volume(scene, volume, f"series {role}")
        path = place / made.files.images[role]
        files[node.GetID()] = [path] if path.is_file() else sorted(path.iterdir())
    panel.logic.dicomFiles = lambda node: files.get(node.GetID(), [])


def wait(panel) -> None:
    """Until nothing runs; the panel's own timer does the work."""
    while panel.busy:
        slicer.app.processEvents()


def walk(widget, scene, test):
    """From an empty scene to doses, in wrong order and with wrong input too.

    :param widget: TARECOMETWidget.
    :param scene: the scene it shows.
    :param test: a unittest.TestCase for the assertions.
    """
    from TARECOMETLib.mrml.contour_tools import give_role, new_contour

    ui, panel = widget.ui, widget.panel
    widget.enter()
    try:
        with tempfile.TemporaryDirectory() as folder:
            place, made, inputs = small_patient(folder)
            load_images(scene, panel, place, made, inputs)
            # Wrong order first: nothing can be computed, and the button says why.
            test.assertFalse(ui.computeButton.enabled)
            test.assertIn("Choose the diagnostic CT", ui.computeButton.toolTip)
            ui.proposeButton.click()
            test.assertIn("none is open", ui.messageLabel.text)
            ui.newPatientButton.click()
            test.assertIn("pseudonym is empty", ui.messageLabel.text)

            ui.pseudonymEdit.text = "WALK-1"
            ui.newPatientButton.click()
            test.assertEqual(ui.messageLabel.text, "")
            test.assertEqual(ui.patientCombo.currentText, "WALK-1")
            ui.proposeButton.click()
            test.assertEqual(ui.messageLabel.text, "")
            test.assertEqual(ui.y90PetSelector.currentNode().GetName(), "series y90_pet")
            test.assertEqual(ui.imagesTable.rowCount, len(inputs.images))
            test.assertIn("ready", ui.imagesBadge.text)

            ui.newSegmentationButton.click()
            opened = panel.session.open()
            contours = opened.contours_node()
            ui.territoryFromUptakeButton.click()
            test.assertIn("expected one drawn liver", ui.messageLabel.text)
            for contour in made.case.contours:
                key = new_contour(contours, contour.name, "other", "CT", inputs.contours[contour.name])
                give_role(contours, key, contour.role)
            panel.refresh()
            test.assertIn("done", ui.contoursBadge.text)
            test.assertEqual(ui.contoursTable.rowCount, len(made.case.contours))

            ui.percentSpin.value = 50.0
            ui.tumourFromUptakeButton.click()
            test.assertEqual(ui.contoursTable.rowCount, len(made.case.contours) + 1)
            panel.steps[1].editor.undo()
            panel.refresh()
            test.assertEqual(ui.contoursTable.rowCount, len(made.case.contours))

            for row, injection in enumerate(made.case.injections):
                ui.addInjectionButton.click()
                combo = ui.injectionsTable.cellWidget(row, 0)
                combo.setCurrentIndex(combo.findText(injection.territory))
                for column, text in ((2, f"{injection.vial_mbq / 1000:.12g}"), (4, injection.time)):
                    ui.injectionsTable.item(row, column).setText(text)
                ui.injectionsTable.item(row, 3).setText("99")
                test.assertIn("residual", ui.messageLabel.text)
                ui.injectionsTable.item(row, 3).setText(f"{injection.residual_mbq / 1000:.12g}")
                test.assertEqual(ui.messageLabel.text, "")
            ui.lungShuntSpin.value = 100.0 * made.case.lung_shunt_fraction
            net_mbq = sum(injection.net_mbq for injection in made.case.injections)
            test.assertIn(f"{net_mbq / 1000.0:.3f} GBq", ui.netLabel.text)
            test.assertTrue(ui.computeButton.enabled, ui.computeButton.toolTip)

            # Cancel leaves nothing behind; computing then gives doses.
            count = scene.GetNumberOfNodes()
            ui.computeButton.click()
            test.assertTrue(ui.cancelButton.enabled)
            ui.cancelButton.click()
            test.assertIsNone(opened.results())
            test.assertEqual(scene.GetNumberOfNodes(), count)
            ui.computeButton.click()
            ui.computeButton.click()  # a second click changes nothing
            wait(panel)
            test.assertEqual(ui.messageLabel.text, "")
            test.assertIn("done", ui.doseBadge.text)
            dose = opened.dose_node("post", "local")
            test.assertEqual(dose.GetAttribute("DicomRtImport.DoseVolume"), "1")
            test.assertEqual(dose.GetVoxelValueUnits().GetCodeValue(), "Gy")
            test.assertGreater(ui.doseTable.rowCount, len(made.case.contours))
            test.assertIn("liver and lungs hold", ui.netLabel.text)

            if ui.doubtCombo.enabled:
                doubts = ui.doubtCombo.count
                ui.acceptButton.click()
                test.assertIn("no reason", ui.messageLabel.text)
                ui.reasonEdit.text = "coarse sample patient"
                ui.acceptButton.click()
                test.assertEqual(ui.doubtCombo.count, doubts - 1)
                test.assertIn("outdated", ui.doseBadge.text)
                ui.computeButton.click()
                wait(panel)
                test.assertIn("done", ui.doseBadge.text)

            ui.isodoseEdit.text = "75 x"
            ui.isodoseButton.click()
            test.assertIn("is not a dose", ui.messageLabel.text)
            ui.isodoseEdit.text = "20 75"
            ui.isodoseButton.click()
            test.assertEqual(ui.messageLabel.text, "")
            ui.liveCheck.click()
            test.assertEqual(ui.messageLabel.text, "")
            live = panel.viewStep.live
            test.assertGreater(live.metrics.GetTable().GetNumberOfRows(), 5)
            ui.liveCheck.click()

            ui.densitySpin.value = 1.03
            test.assertIn("outdated", ui.doseBadge.text)
            ui.densitySpin.value = 1.05
            test.assertIn("done", ui.doseBadge.text)
            return opened
    finally:
        panel.logic.__dict__.pop("dicomFiles", None)
        widget.exit()
