"""What users of command lines expect: examples, completion, odd paths and environments."""

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import RESULTS, posix, shell, snapshot

from fastae import cli, system
from fastae.bench.contenders import CONTENDERS
from fastae.commands import completion, show

EXAMPLES = [(name, example) for name, command in cli.COMMANDS.items() for example in command.examples]


# Help.


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_an_example_is_one_of_its_command_and_is_in_its_help(
    name: str, example: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(example, comments=True)
    assert words[0] == name
    assert callable(cli.parsed(words).run)
    with pytest.raises(SystemExit, match="0"):
        cli.main([name, "--help"])
    assert f"\n  fastae {example}\n" in capsys.readouterr().out


def test_the_contenders_in_the_examples_of_bench_exist() -> None:
    for example in cli.COMMANDS["bench"].examples:
        assert set(cli.parsed(shlex.split(example)).contenders) <= set(CONTENDERS)


def test_each_command_has_an_example_and_the_first_is_in_the_help_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert {name for name, _ in EXAMPLES} == set(cli.COMMANDS)
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    told = capsys.readouterr().out
    assert [line.split()[1] for line in told.partition("examples:\n")[2].splitlines()] == list(cli.COMMANDS)
    with pytest.raises(SystemExit, match="2"):
        cli.parsed(["train", "--no-such-option"])


# Completion.


@posix
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tr", ["train", "trace"]),
        ("train --si", ["--sizes"]),
        ("train --ba", ["--backend", "--batch-size"]),
        ("train --loss ", ["mse", "bce"]),
        ("train --resume --init gl", ["glorot-sigmoid", "glorot"]),
        ("bench --only r", ["race", "roofline"]),
        ("check --ga", ["--gallery"]),
        ("exercise st", ["start"]),
        ("train --data da", []),  # which bash completes with files
        ("--v", ["--version"]),
    ],
)
def test_a_shell_completes(line: str, expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion"]) == 0
    *before, last = line.split(" ")
    words = " ".join(map(shlex.quote, ["fastae", *before, last]))
    ask = f'COMP_WORDS=({words}); COMP_CWORD={len(before) + 1}; _fastae; printf "%s\\n" "${{COMPREPLY[@]}}"'
    script = f"set -u\n{capsys.readouterr().out}\n{ask}"
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.split() == expected


def test_all_options_are_offered_and_none_that_is_hidden() -> None:
    for name in cli.COMMANDS:
        parser = completion._parser(name)
        offered = completion._words(parser)
        for action in parser._actions:
            for option in action.option_strings:
                assert (option in offered) == (action.help != argparse.SUPPRESS), (name, option)


# Where it runs.


@posix
@pytest.mark.parametrize(
    "environment", [{"PYTHONWARNINGS": "error"}, {"PYTHONOPTIMIZE": "2"}, {"PYTHONDEVMODE": "1"}], ids=str
)
def test_a_folder_of_any_name_and_a_strict_python(environment: dict[str, str], data: Path, tmp_path: Path) -> None:
    here = tmp_path / "my images (2) ñ 数据 'x'"
    here.mkdir()
    (here / "the data").symlink_to(data)
    options = ["--backend", "numpy", "--limit", 32, "--epochs", 1, "--out", "was übrig bleibt"]
    done = shell("train", "--data", "the data", *options, cwd=here, **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert set(snapshot(here / "was übrig bleibt")) == RESULTS
    (here / "mon noyau.py").write_text("def axpy(alpha, x, y): y += alpha * x\n")
    done = shell("check", "--no-speed", "--seed", 1, "mon noyau.py", cwd=here, **environment)
    assert (done.returncode, done.stderr) == (0, b"")


@posix
def test_where_nothing_can_be_kept_nothing_is_left_either(tmp_path: Path) -> None:
    code = (
        "from fastae.backends.numba_backend import jit; from fastae.backends.emulator import compiler as c; import os;"
    )
    code += "print(jit.folder(), c.folder(), flush=True); os.fork() or os._exit(0)"
    environment = {"NUMBA_CACHE_DIR": "/dev/null/x", "XDG_CACHE_HOME": "/dev/null", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ) | environment
    )
    assert done.returncode == 0, done.stderr
    assert [Path(path).parent for path in done.stdout.split()] == [tmp_path, tmp_path]
    assert list(tmp_path.iterdir()) == []
    assert system.writable(tmp_path / "new") == ""
    assert system.writable("/dev/null") != ""


@pytest.mark.parametrize(
    ("threads", "environment", "told"),
    [
        (None, {}, ""),
        (None, {"NUMBA_NUM_THREADS": "1"}, "by NUMBA_NUM_THREADS"),
        (None, {"OMP_NUM_THREADS": "1"}, "by OMP_NUM_THREADS"),
        (1, {"NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "3"}, "by --threads"),
    ],
)
def test_what_decided_the_number_of_workers_is_told(
    threads: int | None, environment: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastae.backends.numba_backend import workers

    monkeypatch.setattr(workers, "quota", lambda: 1e9)
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    trainer = SimpleNamespace(
        backend=SimpleNamespace(name="numba"), threads=threads, workers=workers.choose(threads).workers
    )
    assert show.decided(trainer) == told
    trainer.workers += 1  # a training that was resumed
    assert show.decided(trainer) == ""
