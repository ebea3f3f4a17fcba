"""The process of one part: ``python -m gpu_parts.part JSON``, started by `gpu_parts.supervisor` alone.

Its findings go to a descriptor of their own; what it and its libraries print is kept as its log. It dies with the
supervisor, and shows where it stands shortly before its time is over.
"""

import ctypes
import faulthandler
import json
import os
import sys
import traceback
from importlib import import_module

from gpu_parts.findings import Findings

LINES = 6  # of a traceback, in the report


def main() -> None:
    """Run the part that the argument names; end with status 1 and a finding if it raises."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
    told = json.loads(sys.argv[1])
    faulthandler.enable()
    faulthandler.dump_traceback_later(max(0.5, told["seconds"] - 1))
    os.set_inheritable(told["descriptor"], False)  # whom it starts must not keep the line open
    findings = Findings(os.fdopen(told["descriptor"], "w"), told["rehearse"], told["plant"])
    module, function = told["place"].split(":")
    try:
        getattr(import_module(module), function)(findings, told["rehearse"], *told["arguments"])
        if "cupy" in sys.modules and not told["rehearse"]:  # an illegal address may be told by the next call only
            sys.modules["cupy"].cuda.runtime.deviceSynchronize()
    except BaseException as error:
        text = "".join(traceback.format_exception(error)).strip().splitlines()
        print("\n".join(text), file=sys.stderr, flush=True)
        words = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        findings.add("raised", words=words, lines=text[-LINES:])
        os._exit(1)  # a poisoned context may not survive being torn down
    findings.add("done")


if __name__ == "__main__":
    main()
