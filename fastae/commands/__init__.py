"""The command ``fastae train``.

- ``network``: the options that choose the network, and the network that they choose
- ``train``: the other options, and the training
- ``show``: the pictures and the words at its end
"""
