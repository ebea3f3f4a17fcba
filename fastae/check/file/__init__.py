"""A learner's file: its text, its functions, its launch comments, and the exceptions that it raises.

- `reading`: the text of a file
- `text`: facts about a kernel from that text, with `races` and `statements`
- `python_file`: a Python file, run as a module
- `launch_comments`: how a ``.cu`` file launches its kernels
- `failure`: an exception in words
"""
