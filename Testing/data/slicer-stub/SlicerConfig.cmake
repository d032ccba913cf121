# Stands in for a Slicer build tree: find_package(Slicer) reads this file when Slicer_DIR is this folder.
# The macros take the arguments of Slicer's own, check that every listed file exists, and install it where Slicer does.
set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/CheckMetadata.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/CheckMetadata.cmake")
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR "lib/Slicer-stub/qt-scripted-modules")
