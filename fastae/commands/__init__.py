"""The commands ``fastae train`` and ``fastae completion``.

- ``train``: the options of a training, and the training
- ``network``: its options that choose the network, and the network that they choose
- ``show``: the pictures and the summary at its end
- ``completion``: the script that lets a shell complete the command line

The other commands are in the packages that they belong to; `fastae.cli.COMMANDS` lists them all.
"""
