"""Let atheris (libFuzzer for Python) look for bytes that a reader of files does not take well.

    pip install atheris
    python tests/attacks/fuzz.py idx FOLDER -max_total_time=1800
    python tests/attacks/fuzz.py checkpoint FOLDER -max_total_time=1800 -dict=tests/attacks/checkpoint.dict

New cases go into FOLDER, which is made; corpus/ is read besides. The first finding ends it, and its case is in a file
``crash-...`` (``timeout-...``, ``oom-...``) of the current folder; once mended, the case belongs into corpus/.
"""

import sys
from pathlib import Path

import atheris

HERE = Path(__file__).parent
LIMITS = ["-timeout=10", "-rss_limit_mb=1024", "-max_len=8192"]  # seconds a case: it is a hang; memory of the process

sys.path.insert(0, str(HERE.parent))
READERS = ["fastae.datasets", "fastae.storage", "fastae.model", "gzip", "zipfile", "json", "numpy.lib._format_impl"]
with atheris.instrument_imports(include=READERS):
    from attacks import targets

    import fastae.datasets
    import fastae.model
    import fastae.storage  # noqa: F401  so that it is instrumented


def main() -> None:
    """Read the arguments and hand over to libFuzzer, which ends the process."""
    name, folder, *options = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    atheris.Setup([sys.argv[0], folder, str(HERE / "corpus" / name), *LIMITS, *options], targets.TARGETS[name])
    atheris.Fuzz()


main()
