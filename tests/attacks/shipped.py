"""Build the sdist and the wheel and audit what they hold: exactly the project's files, and nothing that runs by itself.

``python tests/attacks/shipped.py``, with ``build`` and ``twine`` installed. Exit status 0 if all is well, 1 if not.
"""

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
NOT_SHIPPED = (".ci/", ".gitignore")
MADE = ("PKG-INFO", "setup.cfg", "fastae.egg-info/")  # by setuptools, in the sdist
DATA = ("fastae/datasets/mnist/", "tests/data/")
BINARY = {".npz": "tests/golden/", ".gz": DATA, ".png": "docs/images/", "": "tests/attacks/corpus/"}

wrong: list[str] = []


def say(ok: bool, text: str) -> None:
    """Report one finding."""
    print(f"{'ok' if ok else 'WRONG'}: {text}", flush=True)
    if not ok:
        wrong.append(text)


def compare(what: str, found: set[str], expected: set[str]) -> None:
    """Report whether an archive holds the files that it should."""
    extra, missing = sorted(found - expected), sorted(expected - found)
    say(not extra and not missing, f"{what}: {len(found)} files; beside the project's {extra}; missing {missing}")


def main() -> int:
    """Build and audit."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    tracked = {name for name in listed.splitlines() if not name.startswith(NOT_SHIPPED) and (ROOT / name).exists()}
    with tempfile.TemporaryDirectory() as folder:
        build = [sys.executable, "-m", "build", "--outdir", folder, str(ROOT)]  # the wheel from the sdist
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        (sdist,), (wheel,) = Path(folder).glob("*.tar.gz"), Path(folder).glob("*.whl")
        checked = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", sdist, wheel])
        say(checked.returncode == 0, "names, versions and the README are as an index takes them")

        with tarfile.open(sdist) as archive:
            members = archive.getmembers()
            plain = all(member.isfile() or member.isdir() for member in members)
            names = {member.name.partition("/")[2] for member in members if member.isfile()}
        say(plain, "the sdist has no links and no devices")
        compare("the sdist", {name for name in names if not name.startswith(MADE)}, tracked)
        say("setup.py" not in names, "nothing of the project runs when it is built or installed")

        with zipfile.ZipFile(wheel) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        inside = {name for name in sizes if ".dist-info/" not in name}
        compare("the wheel", inside, {name for name in tracked if name.startswith("fastae/")})
        kinds = Counter[str]()
        for name in inside:
            kinds[PurePosixPath(name).suffix or name] += sizes[name]
        say(True, "bytes of " + ", ".join(f"{kind} {size:,}" for kind, size in kinds.most_common()))
        say(True, f"sdist {sdist.stat().st_size:,} bytes, wheel {wheel.stat().st_size:,} bytes")

    binary = {name for name in tracked if b"\0" in (ROOT / name).read_bytes()}
    odd = [name for name in sorted(binary) if not name.startswith(BINARY.get(PurePosixPath(name).suffix, "nowhere"))]
    say(not odd, f"{len(binary)} binary files, none but data and pictures {odd or ''}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
