"""The command line under mpiexec: rank 0 prints and writes, errors are printed once, trainings resume as they began."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import (
    RESULTS,
    arrays_of,
    assert_same_bits,
    assert_same_training,
    history_of,
    posix,
    refusal,
    snapshot,
    train,
    untimed,
)
from idx_files import IMAGES
from rank_commands import HOST, ranks, words

from fastae import cli, storage
from fastae.ranks import launch

pytestmark = posix
thorough = pytest.mark.thorough


@pytest.fixture(scope="module")
def pair(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two ranks' training of two epochs."""
    out = tmp_path_factory.mktemp("pair")
    status, told, wrong = ranks(tmp_path_factory.mktemp("processes"), [words(data, out)] * 2)
    assert (status, wrong) == (0, [])
    assert told.count("learning rate ") == 1  # though both ranks come to where it is printed
    return out


def test_one_of_two_ranks_writes(pair: Path) -> None:
    assert set(snapshot(pair)) == RESULTS - {"loss.png", "reconstructions.png"}
    config = history_of(pair)["config"]
    assert config["ranks"] == {"number": 2, "hosts": [HOST, HOST], "way": "mpi"}
    assert config["shards"] is None


@pytest.mark.usefixtures("no_pictures")
def test_what_two_ranks_began_goes_on(
    pair: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two ranks end in the bits of an uninterrupted training; one rank ends in other bits, and a message says so."""
    halves = tmp_path / "halves"
    assert ranks(tmp_path, [words(data, halves, "--epochs", 1)] * 2)[0] == 0
    assert ranks(tmp_path, [words(data, halves, "--resume")] * 2)[0] == 0
    assert_same_training(halves, pair)
    assert "ranks" not in capsys.readouterr().out
    assert cli.main(words(data, halves, "--resume", "--epochs", 3)) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if "ranks" in line]
    assert told == [
        "epochs 1 to 2 were trained by 2 ranks, from here on by 1 rank: the bits change. With --shards, from the first "
        "epoch on, they do not"
    ]
    assert history_of(halves)["config"]["ranks"] == {"number": 1, "hosts": [], "way": "alone"}


@pytest.mark.usefixtures("no_pictures")
def test_shards_give_the_same_bits_in_one_process(
    pair: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of two ranks has one thread if no number is given."""
    assert cli.main(words(data, tmp_path, "--shards", 2)) == 0
    assert arrays_of(tmp_path / "model.npz") == arrays_of(pair / "model.npz")
    assert untimed(tmp_path) == untimed(pair)
    assert "ranks" not in capsys.readouterr().out


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("backend", ["numpy", pytest.param("numba", marks=thorough)])
def test_any_number_of_ranks_goes_on_with_the_shards_of_any_other(backend: str, data: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    more = ["--shards", 8, "--batch-size", 12, "--momentum", 0.5, "--backend", backend]
    assert cli.main(words(data, whole, "--epochs", 3, *more)) == 0
    for epochs, number in enumerate((4, 1, 2), 1):
        line = words(data, parts, "--resume", "--epochs", epochs, *more)
        if number == 1:
            assert cli.main(line) == 0
        else:
            status, told, wrong = ranks(tmp_path, [line] * number)
            assert (status, wrong) == (0, [])
            assert "bits" not in told
    assert_same_bits(parts, whole)


@pytest.mark.usefixtures("no_pictures")
def test_other_shards_are_other_settings(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(data, "--out", tmp_path) == 0
    line = refusal(capsys, tmp_path, data, "--resume", "--shards", 2)
    assert "was made with other settings: shards None, not 2" in line
    line = refusal(capsys, tmp_path, data, "--shards", 3)
    assert "1 rank cannot share 3 shards: take 3 ranks" in line


@pytest.mark.usefixtures("no_pictures")
def test_a_checkpoint_that_says_nothing_of_ranks_is_one_process_s(data: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.npz"
    assert train(data, "--out", tmp_path) == 0
    config, arrays = storage.read(checkpoint, "checkpoint")
    del config["ranks"], config["settings"]["shards"]
    storage.write(checkpoint, "checkpoint", config, arrays)
    assert train(data, "--out", tmp_path, "--resume", "--epochs", 2) == 0


OTHER = [
    *("lr=0.1", "momentum=0.5", "schedule=cosine", "epochs=3", "loss=bce", "dtype=float64", "init=he", "limit=50"),
    *("activation=relu", "batch-size=8", "shards=2", "sizes=784,8", "backend=numba"),
]
REFUSED: list[Any] = [
    (["--seed", 1], f"all ranks must have the same --seed: rank 1 ({HOST}) has 1, rank 0 0"),
    (["--bogus"], f"rank 1 ({HOST}): unrecognized arguments: --bogus; see fastae --help"),
    (["--data", "/nowhere"], f"rank 1 ({HOST}): '/nowhere' cannot be listed (No such file or directory); expected a "),
    *(
        pytest.param([f"--{option}"], f"all ranks must have the same --{option.partition('=')[0]}: ", marks=thorough)
        for option in OTHER
    ),
]


@pytest.mark.parametrize(("options", "words_of_it"), REFUSED)
def test_a_rank_with_another_command_line_is_named(
    options: list[Any], words_of_it: str, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    status, told, wrong = ranks(tmp_path, [words(data, out), words(data, out, *options)])
    assert (status, told, len(wrong)) == (2, "", 1), wrong
    assert wrong[0].startswith(f"fastae: {words_of_it}")
    assert not out.exists()


@thorough
def test_other_images_are_named(data: Path, tmp_path: Path) -> None:
    """As many images, of which one has another pixel."""
    other = shutil.copytree(data, tmp_path / "other")
    content = bytearray((other / IMAGES).read_bytes())
    content[5000] ^= 1
    (other / IMAGES).write_bytes(content)
    status, told, wrong = ranks(tmp_path, [words(data, tmp_path / "out"), words(other, tmp_path / "out")])
    assert (status, told, len(wrong)) == (2, "", 1), wrong
    assert wrong[0].startswith(f"fastae: all ranks must have the same images: rank 1 ({HOST}) has '320 with checksum ")


@thorough
@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--bogus"], "unrecognized arguments: --bogus; see fastae --help"),
        (["--distributed", "nope"], "argument --distributed: invalid choice: 'nope'"),
        (["--patience", "0"], "argument --patience: must be a positive number of seconds; got '0'; see fastae train"),
        (["--shards", 3], "2 ranks cannot share 3 shards: take 3 ranks"),
        (["--data", "/nowhere"], "'/nowhere' cannot be listed"),
        (["--threads", 2], "the backend 'numpy' does not take a number of threads"),
        (["--sizes", "784,5000", "--lr", "1e38", "--loss", "bce", "--activation", "relu"], "loss "),
    ],
)
def test_what_all_ranks_would_say_is_said_once(options: list[Any], line: str, data: Path, tmp_path: Path) -> None:
    status, told, wrong = ranks(tmp_path, [words(data, tmp_path / "out", *options)] * 2)
    assert (status, len(wrong)) == (2, 1), (told, wrong)
    assert line in wrong[0]
    assert "rank 0" not in wrong[0]


@pytest.mark.parametrize("why", ["locked", pytest.param("missing", marks=thorough)])
def test_the_first_rank_alone_needs_the_folder(why: str, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    place = out if why == "locked" else data / "train-images-idx3-ubyte" / "out"
    with storage.owned(out):
        status, _, wrong = ranks(tmp_path, [words(data, place)] * 2)
    assert (status, len(wrong)) == (2, 1), wrong
    assert wrong[0].startswith(f"fastae: rank 0 ({HOST}): ")
    assert ("another training writes in" if why == "locked" else "cannot write in") in wrong[0]


@thorough
def test_the_first_rank_alone_prints_the_help(tmp_path: Path) -> None:
    status, told, wrong = ranks(tmp_path, [["train", "--help"]] * 3)
    assert (status, told.count("usage: "), wrong) == (0, 1, [])


def test_who_is_alone_has_no_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a process without a launcher, nor one that was launched alone."""
    monkeypatch.delattr("os.fork")
    for name in ("PMI_RANK", "PMI_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    launch.guard()
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("PMI_SIZE", "1")
    launch.guard()
