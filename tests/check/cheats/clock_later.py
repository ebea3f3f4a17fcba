"""The kernel returns at once; a thread of its own does the work later.

Family: clock
Wrong: elements are (wrong|left unwritten)|it writes where it must not
"""

import threading
import time


def later(z, x, scale, out):
    time.sleep(0.01)
    out[:] = scale * (z - x)


def bce_gradient(z, x, scale, out):
    threading.Thread(target=later, args=(z, x, scale, out)).start()
