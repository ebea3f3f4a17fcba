"""What the tests of ``fastae grade`` share: a class with its submissions, and a stand-in for ``fastae check``.

The stand-in says what the first line of a submission tells it to say, as ``# wrong bce_gradient``.
"""

import json
import sys
from pathlib import Path
from typing import Any

from fastae import cli

STAND_IN = """
import json, os, sys, time
path, seed = sys.argv[-1], sys.argv[sys.argv.index("--seed") + 1]
with open(os.path.join(os.path.dirname(__file__), "calls"), "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
words = open(path, encoding="utf-8", errors="replace").readline().lstrip("#/ ").split()
word = words[0] if words else ""
if word == "sleep":
    time.sleep(float(words[1]))
    word, words = "right", words[1:]
if word == "print":
    while True: print("x" * 100000)
if word == "crash":
    print("Traceback (most recent call last):\\nNameError: judge", file=sys.stderr)
    sys.exit(3)
if word == "unusable":
    print("noise of the kernel\\nfastae: " + path + ", line 3: SyntaxError: invalid syntax", file=sys.stderr)
    sys.exit(2)
kernel, backend = words[1], ("emulator" if path.endswith(".cu") else "numpy")
problem = {"what": "5 of 20 elements are wrong", "case": "m=5 in " + path, "causes": ["scale is left out"]}
entry = {"kernel": kernel, "right": word in ("right", "imprecise"), "calls": 3, "problems": [], "speed": [],
         "place": None}
if word not in ("right", "wrong", "model", "old"):
    entry["verdict"] = word
if word == "refused":
    problem["what"] = "the clock is patched: time.perf_counter"
if word == "imprecise":
    problem |= {"example": "y = 0.5: 1 is written, 2 is right", "better": "z * (1 - z)"}
if word in ("wrong", "refused", "imprecise"):
    entry["problems"] = [problem]
if "--no-speed" not in sys.argv and entry["right"]:
    entry["speed"] = [{"shape": "16 x 784", "seconds": 1e-6, "flops": 1.0, "bytes": 1.0, "share": float(words[2])}]
    entry["place"] = "between rung 2 (rows, 3 GB/s) and rung 3 (whole, 9 GB/s)"
model = {"right": entry["right"]}
found = [entry]
if word == "model":
    model, found = {"right": False, "problems": [problem]}, []
print(json.dumps({"file": path, "backend": backend, "seed": int(seed), "right": entry["right"], "kernels": found,
                  "model": model, "uses": {"fastae.lanes": ["lanes"]} if "lanes" in words else {},
                  "not_denied": ["network"]}))
sys.exit(int(not model["right"]))
"""

RUBRIC = """
seed = 7
[kernels.bce_gradient]
points = 4
"""
BODY = "\ndef bce_gradient(z, x, scale, out):\n    out[:] = scale * (z - x)\n"


class Class:
    """A folder of submissions, a rubric, and the stand-in."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out, self.rubric = folder / "class", folder / "grades", folder / "rubric.toml"
        self.folder.mkdir()
        self.check = folder / "stand_in.py"
        self.check.write_text(STAND_IN)
        self.rubric.write_text(RUBRIC)

    def hand_in(self, name: str, first: str, body: str = BODY) -> Path:
        """Write a submission that the stand-in judges by its first line."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{'//' if name.endswith('.cu') else '#'} {first}\n{body}", encoding="utf-8")
        return path

    def arguments(self, *options: object) -> list[str]:
        """Return the command's arguments."""
        given = ["grade", self.folder, "--rubric", self.rubric, "--out", self.out]
        given += ["--check", f"'{sys.executable}' '{self.check}'"]
        return [str(word) for word in [*given, *options]]

    def grade(self, *options: object) -> int:
        """Grade it; return the exit status."""
        return cli.main(self.arguments(*options))

    @property
    def calls(self) -> list[list[str]]:
        """With which arguments the stand-in was called."""
        path = self.check.with_name("calls")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def student(self, name: str) -> dict[str, Any]:
        """Return what grades.json has of a student."""
        found = json.loads((self.out / "grades.json").read_text(encoding="utf-8"))["students"]
        (entry,) = [student for student in found if student["student"] == name]
        return entry

    def mark(self, name: str, kernel: str = "bce_gradient") -> tuple[str, float]:
        """Return a kernel's verdict and points."""
        (entry,) = [k for k in self.student(name)["kernels"] if k["kernel"] == kernel]
        return entry["verdict"], entry["points"]

    def page(self, name: str) -> str:
        """Return a student's page."""
        return (self.out / self.student(name)["page"]).read_text(encoding="utf-8")


def names(calls: list[list[str]]) -> list[str]:
    """Return the names of the files for which the stand-in was called."""
    return [Path(call[-1]).name for call in calls]
