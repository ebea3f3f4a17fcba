"""`fastae check`: is a kernel right? If not, what is wrong, and where?

The modules here are read in this order; each folder's ``__init__.py`` lists its own.

- `command`, `report`, `pictures`: the command, what it prints and what it draws
- `learner`: a file of kernels as a backend; `file`: how the file is read
- `verdict`, `problem`: whether a kernel is right, imprecise or wrong; `calls`: the calls that are made to find out
- `bounds`, `wide`: how far from the exact result a right kernel, and an imprecise one, may be
- `cause`: why a kernel is wrong
- `sandbox`: the process that runs the file, and what it may not do
- `speed`, `fresh`: how fast a right kernel is, on data that it has not seen before
- `exhibits`: known ways to be wrong, each a file in ``gallery``
"""
