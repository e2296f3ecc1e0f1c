"""Files become Arrow streams: formats by first bytes, several pooled, damage named."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest
from logitmeter.exceptions import (
    CorruptInputError,
    DTypeError,
    InputChangedError,
    InputWarning,
    LogitmeterError,
    SettingsError,
    ShapeError,
)
from logitmeter.sources import Data, scan
from logitmeter.sources.base import SCOPE
from logitmeter.sources.paths import expand, places

if TYPE_CHECKING:
    from logitmeter.sources.feed import Feed

N, V = 6, 5


def dump(path: Path, start: int = 0, *, rows: int = N, kind: str = "file", **more: Any) -> Path:
    """Write logits whose first entry is the row's number, and labels that are too."""
    numbers = np.arange(start, start + rows)
    vocab, codec, dtype = (
        more.pop("vocab", V),
        more.pop("compression", None),
        more.pop("dtype", "f4"),
    )
    logits = np.repeat(numbers, vocab).astype(dtype)
    columns = {
        "logits": pa.FixedSizeListArray.from_arrays(pa.array(logits), vocab),
        "labels": pa.array(numbers),
        **more,
    }
    return write(path, pa.table(columns), kind, codec)


def write(path: Path, table: pa.Table, kind: str = "file", codec: str | None = None) -> Path:
    opened = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with opened(path, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(table, max_chunksize=4)
    return path


def feed(source: Any, data: Data | None = None, **options: Any) -> Feed:
    return scan(source, **options).feed(data)


def read(source: Any, data: Data | None = None, **options: Any) -> pa.Table:
    return feed(source, data, **options).batches().read_all()


def bytes_read() -> int:
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in range(3):
        dump(tmp_path / f"{index}.arrow", index * N)
    return tmp_path


# ---- which files ---------------------------------------------------------------------------------


def test_a_list_keeps_its_order_and_globs_and_directories_have_byte_order(tmp_path: Path) -> None:
    for name in ("b", "a", "B", "é", ".hidden", "_SUCCESS"):
        (tmp_path / name).touch()
    names = [Path(path).name for path in expand(str(tmp_path))]
    assert names == ["B", "a", "b", "é"]
    assert [Path(path).name for path in expand(f"{tmp_path}/[a-z]")] == ["a", "b"]
    assert [place.path for place in places([tmp_path / "b", str(tmp_path / "a")])] == [
        f"{tmp_path}/b",
        f"{tmp_path}/a",
    ]


def test_a_path_with_magic_characters_that_exists_is_itself(tmp_path: Path) -> None:
    (tmp_path / "[1].arrow").touch()
    assert expand(tmp_path / "[1].arrow") == [f"{tmp_path}/[1].arrow"]


def test_a_glob_goes_down(folder: Path) -> None:
    (folder / "deep").mkdir()
    dump(folder / "deep" / "x.arrow")
    assert len(expand(f"{folder}/**/*.arrow")) == 4
    assert len(expand(f"{folder}/*")) == 4


@pytest.mark.parametrize("missing", ["nope.arrow", "*.nope", "empty"])
def test_what_names_no_file_is_not_found(tmp_path: Path, missing: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError) as caught:
        scan(tmp_path / missing)
    assert caught.value.errno == errno.ENOENT
    assert caught.value.filename == f"{tmp_path}/{missing}"


def test_a_url_of_no_known_scheme_is_refused() -> None:
    with pytest.raises(SettingsError, match="nope://bucket") as caught:
        scan("nope://bucket/x.arrow")
    assert caught.value.expected == "a scheme that can be read"


# ---- what is in them -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "stream"])
@pytest.mark.parametrize("codec", [None, "lz4", "zstd"])
@pytest.mark.parametrize("memory_map", [False, True])
def test_both_formats_are_read_whatever_their_suffix(
    tmp_path: Path, kind: str, codec: str | None, *, memory_map: bool
) -> None:
    path = dump(tmp_path / "x.parquet", kind=kind, compression=codec)
    found = read(path, memory_map=memory_map)
    assert found["labels"].to_pylist() == list(range(N))
    assert np.array(found["logits"].to_pylist())[:, 0].tolist() == list(range(N))


def test_each_file_is_a_scope_unless_they_are_joined(folder: Path) -> None:
    found = feed(folder)
    assert found.columns["scope"] == SCOPE
    assert found.columns["sequence_id"] is None
    assert found.read_ahead
    pooled = found.batches().read_all()
    assert pooled["labels"].to_pylist() == list(range(3 * N))
    assert pooled[SCOPE].to_pylist() == [0] * N + [1] * N + [2] * N
    assert feed(folder, join_files=True).columns["scope"] is None


def test_files_group_by_their_path(folder: Path) -> None:
    found = read(f"{folder}/[01].arrow", Data(by="file"))
    assert found["file"].to_pylist() == [f"{folder}/0.arrow"] * N + [f"{folder}/1.arrow"] * N


def test_a_column_named_file_goes_before_the_path(tmp_path: Path) -> None:
    path = dump(tmp_path / "x.arrow", file=pa.array(list("aabbcc")))
    assert read(path, Data(by="file"))["file"].to_pylist() == list("aabbcc")


def test_a_source_of_files_is_read_again(folder: Path) -> None:
    source = scan(folder)
    assert pa.table(source).equals(pa.table(source))


def test_arrays_lie_beside_files(folder: Path) -> None:
    mask = np.arange(3 * N) % 2 == 0
    assert read(folder, Data(mask=mask))["mask"].to_pylist() == mask.tolist()
    with pytest.raises(ShapeError, match="mask end after 17 rows"):
        read(folder, Data(mask=mask[:-1]))


def test_only_columns_that_are_used_are_read(tmp_path: Path) -> None:
    path = dump(tmp_path / "x.arrow", note=pa.array(["x" * 10_000_000] * N))
    before = bytes_read()
    feed(path).batches().read_all()
    assert bytes_read() - before < 1_000_000


def test_labels_are_read_without_the_logits(tmp_path: Path) -> None:
    path = dump(tmp_path / "x.arrow", rows=200, vocab=50_000)
    found = feed(path)
    assert found.labels_first
    before = bytes_read()
    assert found.without_logits().batches().read_all()["labels"].to_pylist() == list(range(200))
    assert bytes_read() - before < 1_000_000 < path.stat().st_size


def test_a_stream_file_has_no_first_look_at_its_labels(tmp_path: Path) -> None:
    assert not feed(dump(tmp_path / "x.arrows", kind="stream")).labels_first


def test_a_limit_leaves_the_rest_unread(folder: Path) -> None:
    (folder / "2.arrow").write_bytes((folder / "2.arrow").read_bytes())
    assert read(folder, limit=N + 1)["labels"].to_pylist() == list(range(N + 1))


def test_metadata_name_the_element_type(tmp_path: Path) -> None:
    bits = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(N * V, np.uint16)), V)
    table = pa.table({"logits": bits}).replace_schema_metadata({"logitmeter.dtype": "bfloat16"})
    assert feed(write(tmp_path / "0.arrow", table)).dtype == "bfloat16"
    write(tmp_path / "1.arrow", table.replace_schema_metadata(None))
    with pytest.raises(DTypeError, match="bfloat16 in the file before") as caught:
        feed(tmp_path)
    assert caught.value.path == f"{tmp_path}/1.arrow"


def test_a_position_is_found_in_its_file(folder: Path) -> None:
    found = feed(folder)
    found.batches().read_all()
    assert found.locate(N - 1) == (f"{folder}/0.arrow", N - 1)
    assert found.locate(2 * N + 1) == (f"{folder}/2.arrow", 1)


@pytest.mark.parametrize("codec", [None, "lz4"])
@pytest.mark.parametrize("nulls", [False, True])
def test_large_batches_are_read_in_slices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str | None, *, nulls: bool
) -> None:
    monkeypatch.setattr("logitmeter.sources.place.READ_BYTES", 3 * V * 4)
    tasks = pa.array(list("aabbccddeef"))
    table = pa.ipc.open_file(dump(tmp_path / "x.arrow", rows=11, task=tasks)).read_all()
    if nulls:
        lists = [*table["logits"].to_pylist()[:-1], None]
        table = table.set_column(0, "logits", pa.array(lists, table["logits"].type))
    path = write(tmp_path / "x.arrow", table, codec=codec)
    batches = list(feed(path, Data(by="task")).batches())
    found = pa.Table.from_batches(batches).select(["logits", "labels", "task"])
    assert found.equals(table)
    expected = [3, 1, 3, 1, 3] if codec is None else [4, 4, 3]
    assert [len(batch) for batch in batches] == expected


def test_a_file_of_one_large_batch_is_not_held(tmp_path: Path) -> None:
    rows, vocab = 700, 100_000
    numbers = np.repeat(np.arange(rows, dtype=np.float32), vocab)
    column = pa.FixedSizeListArray.from_arrays(pa.array(numbers), vocab)
    path = tmp_path / "x.arrow"
    with pa.ipc.new_file(path, pa.schema([("logits", column.type)])) as writer:
        writer.write_table(pa.table({"logits": column}))
    before, most, first = pa.total_allocated_bytes(), 0, 0
    for batch in feed(path).batches():
        most = max(most, pa.total_allocated_bytes() - before)
        assert batch["logits"].values[-1].as_py() == first + len(batch) - 1
        first += len(batch)
    assert first == rows
    assert most < path.stat().st_size // 2


# ---- files that do not fit together --------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "error", "text"),
    [
        ({"vocab": V + 1}, ShapeError, "logits"),
        ({"dtype": "f2"}, DTypeError, "logits"),
        ({"labels": pa.array(np.zeros(N))}, DTypeError, "labels"),
    ],
)
def test_files_of_another_kind_are_named(
    folder: Path, more: dict[str, Any], error: type[LogitmeterError], text: str
) -> None:
    dump(folder / "1.arrow", **more)
    found = feed(folder)
    with pytest.raises(error, match=text):
        found.batches().read_all()
    assert getattr(found.error, "path", None) == f"{folder}/1.arrow"


def test_a_column_that_one_file_lacks_is_named(folder: Path) -> None:
    dump(folder / "0.arrow", mask=pa.array([True] * N))
    with pytest.raises(SettingsError, match=r"1\.arrow.*no column 'mask'"):
        read(folder)


def test_columns_that_are_not_used_may_differ(folder: Path) -> None:
    dump(folder / "0.arrow", note=pa.array(["x"] * N))
    assert read(folder).num_rows == 3 * N


# ---- labels in files of their own ----------------------------------------------------------------


def split(folder: Path, counts: list[int]) -> tuple[list[str], list[str]]:
    """Logits without labels, and labels of some length, in files of their own."""
    logits, labels = [], []
    for index, count in enumerate(counts):
        whole = pa.ipc.open_file(dump(folder / "whole", index * N)).read_all()
        logits.append(str(write(folder / f"{index}.logits", whole.select(["logits"]))))
        ids = pa.table({"labels": pa.array(range(index * N, index * N + count))})
        labels.append(str(write(folder / f"{index}.labels", ids)))
    return logits, labels


def test_label_files_are_paired_in_order(tmp_path: Path) -> None:
    logits, labels = split(tmp_path, [N, N])
    found = read(logits, labels=labels)
    assert found["labels"].to_pylist() == list(range(2 * N))
    assert np.array(found["logits"].to_pylist())[:, 0].tolist() == list(range(2 * N))
    assert found[SCOPE].to_pylist() == [0] * N + [1] * N
    assert feed(logits, labels=labels).labels_first


@pytest.mark.parametrize("count", [N - 1, N + 1])
def test_label_files_of_another_length_are_named(tmp_path: Path, count: int) -> None:
    logits, labels = split(tmp_path, [count, N])
    with pytest.raises(ShapeError, match=r"0\.logits") as caught:
        read(logits, labels=labels)
    assert "0.labels" in str(caught.value)


def test_as_many_label_files_are_needed(tmp_path: Path) -> None:
    logits, labels = split(tmp_path, [N, N])
    with pytest.raises(ShapeError, match="2 files of logits, but 1 of labels"):
        feed(logits, labels=labels[:1])


def test_label_files_lie_beside_arrays(tmp_path: Path) -> None:
    _, labels = split(tmp_path, [N, N])
    logits = np.zeros((2 * N, V), np.float32)
    assert read(logits, labels=labels)["labels"].to_pylist() == list(range(2 * N))
    with pytest.raises(ShapeError, match="the files of labels end after 6 rows"):
        read(logits, labels=labels[0])


def test_label_files_may_bring_a_mask(tmp_path: Path) -> None:
    logits, labels = split(tmp_path, [N])
    write(Path(labels[0]), pa.table({"labels": range(N), "mask": [True] * N}))
    assert read(logits, labels=labels)["mask"].to_pylist() == [True] * N


# ---- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "named"),
    [
        (b"", "empty"),
        (b"PARE" + bytes(60), "Parquet, encrypted"),
        (b"GGUF" + bytes(60), "GGUF"),
        (b"_logits2" + bytes(60), "llama.cpp"),
        (b"hello world", "68 65 6c 6c 6f"),
        (b"\x80\x02\x8a\nl\xfc\x9c", "torch.load"),
    ],
)
def test_a_file_of_another_format_is_named(tmp_path: Path, head: bytes, named: str) -> None:
    path = tmp_path / "x.arrow"
    path.write_bytes(head)
    with pytest.raises(CorruptInputError, match=named) as caught:
        feed(path)
    assert caught.value.path == str(path)
    assert caught.value.offset == 0
    assert "Arrow IPC" in str(caught.value.expected)


def test_a_torch_archive_says_how_to_load_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02.")
    with pytest.raises(CorruptInputError, match=r"torch\.load\(.*mmap=True, weights_only=True\)"):
        feed(tmp_path / "x.pt")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", b"")
    with pytest.raises(CorruptInputError, match="zip archive"):
        feed(tmp_path / "x.npz")


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CorruptInputError, match="regular"):
        feed(tmp_path / "pipe")


@pytest.mark.parametrize("kind", ["file", "stream"])
@pytest.mark.parametrize("keep", [7, 100, 0.5, 0.9, -1])
@pytest.mark.filterwarnings("ignore::logitmeter.exceptions.InputWarning")
def test_a_file_cut_short_is_named_with_its_end(tmp_path: Path, kind: str, keep: float) -> None:
    path = dump(tmp_path / "x.arrow", kind=kind, rows=100)
    whole = path.read_bytes()
    size = int(keep * len(whole)) if 0 < keep < 1 else int(keep) % len(whole)
    path.write_bytes(whole[:size])
    with pytest.raises(CorruptInputError) as caught:
        read(path)
    assert caught.value.path == str(path)
    assert caught.value.offset in {size, 0}


def test_a_stream_without_its_end_marker_is_read_with_a_warning(tmp_path: Path) -> None:
    path = dump(tmp_path / "x.arrow", kind="stream")
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.warns(InputWarning, match="no end marker") as caught:
        assert read(path).num_rows == N
    assert caught[0].filename == __file__


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("kind", ["file", "stream"])
@pytest.mark.filterwarnings("ignore::logitmeter.exceptions.InputWarning")
def test_flipped_bytes_are_an_error_or_other_values_but_never_a_crash(
    tmp_path: Path, kind: str, seed: int
) -> None:
    notes = pa.array([None if i % 3 else "x" * i for i in range(40)])
    path = dump(tmp_path / "x.arrow", kind=kind, rows=40, task=notes)
    whole = bytearray(path.read_bytes())
    flips = random.Random(seed)
    for _ in range(3):
        whole[flips.randrange(len(whole))] ^= 1 << flips.randrange(8)
    path.write_bytes(whole)
    with contextlib.suppress(LogitmeterError):
        read(path, Data(by="task")).validate(full=True)


def test_a_file_that_changes_while_it_is_read_is_named(folder: Path) -> None:
    batches = feed(folder).batches()
    batches.read_next_batch()
    with (folder / "0.arrow").open("ab") as file:
        file.write(b"more")
    with pytest.raises(InputChangedError, match="changed while it was read"):
        batches.read_all()


def test_a_file_that_changed_since_it_was_named_is_an_error(folder: Path) -> None:
    found = feed(folder)
    dump(folder / "0.arrow", rows=N + 1)
    with pytest.raises(InputChangedError):
        found.batches().read_all()


def test_a_file_that_goes_away_is_not_found(folder: Path) -> None:
    found = feed(folder)
    (folder / "1.arrow").unlink()
    with pytest.raises(FileNotFoundError):
        found.batches().read_all()
