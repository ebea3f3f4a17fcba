"""Grade a folder of submissions: check every file, give points by a rubric, write a page for each student.

`submissions` reads the folder, `judge` checks each file in its own process and stores the outcome, `rubric` reads the
rubric, `points` applies it, `fingerprint` and `copies` find identical sources, `report` writes the results.
"""
