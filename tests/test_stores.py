"""Files in stores: a real object store on this machine, fsspec's memory, and URLs of files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import fsspec
import logitmeter as lm
import numpy as np
import pyarrow as pa
import pyarrow.fs
import pytest
from formats import FORMATS, Format, each_format
from logitmeter.exceptions import CorruptInputError, InputChangedError, SettingsError
from moto.server import ThreadedMotoServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

N, V = 12, 5
LOGITS = np.random.default_rng(1).normal(size=(N, V)).astype(np.float32)
LABELS = np.random.default_rng(2).integers(0, V, N)
WANTED = lm.evaluate(LOGITS, LABELS).loss


@pytest.fixture(scope="module")
def store() -> Iterator[Any]:
    """An S3 server on this machine, as pyarrow reaches it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield pa.fs.S3FileSystem(
            access_key="a",
            secret_key="b",  # noqa: S106 - the server takes anything
            endpoint_override=f"http://{host}:{port}",
            region="us-east-1",
            allow_bucket_creation=True,
        )
    finally:
        server.stop()


def put(filesystem: Any, path: str, folder: Path, form: Format, **data: Any) -> dict[str, Any]:
    """Write a dump, and copy its files into a store; give what `scan` takes of the copy."""
    folder.mkdir(exist_ok=True)
    given = form.write(folder, data.get("logits", LOGITS), {"labels": data.get("labels", LABELS)})
    filesystem.create_dir(path.partition("/")[0])
    for file in folder.iterdir():
        with filesystem.open_output_stream(f"{path}/{file.name}") as out:
            out.write(file.read_bytes())
    there = {key: f"{path}/{os.path.basename(str(given[key]))}" for key in given.keys() & PATHS}  # noqa: PTH119
    return given | there


PATHS = {"source", "labels"}


@each_format
def test_every_format_is_read_from_a_store(form: Format, store: Any, tmp_path: Path) -> None:
    name = form.name.replace(" ", "-")
    given = put(store, f"bucket/{name}", tmp_path, form)
    found = lm.evaluate(lm.scan(**given, filesystem=store))
    assert found.loss == WANTED
    assert found.to_json() == lm.evaluate(lm.scan(**given, filesystem=store)).to_json()


@pytest.fixture
def shelf(store: Any, tmp_path: Path) -> Any:
    """Two files of the store's, with others beside them."""
    for name in ("a", "b", "deep/c"):
        data = {"labels": LABELS if name == "a" else (LABELS + 1) % V}
        put(store, f"shelf/x/{name}", tmp_path / "x", FORMATS[0], **data)
    for name in ("_SUCCESS", ".hidden"):
        with store.open_output_stream(f"shelf/x/a/{name}") as out:
            out.write(b"x")
    return store


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        ("shelf/x/a", ["shelf/x/a/dump"]),
        ("shelf/x/*/dump", ["shelf/x/a/dump", "shelf/x/b/dump"]),
        ("shelf/x/[b-z]/d?mp", ["shelf/x/b/dump"]),
        ("shelf/**/dump", ["shelf/x/a/dump", "shelf/x/b/dump", "shelf/x/deep/c/dump"]),
    ],
)
def test_directories_and_globs_have_byte_order(pattern: str, files: list[str], shelf: Any) -> None:
    report = lm.evaluate(lm.scan(pattern, filesystem=shelf), by="file")
    assert list(report.groups) == files


@pytest.mark.parametrize("path", ["shelf/none", "shelf/x/*.none", "none/x", "shelf/x/a/none"])
def test_what_is_not_there_is_not_found(path: str, shelf: Any) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        lm.scan(path, filesystem=shelf)
    assert caught.value.filename == path


def test_damage_is_named_with_its_place(store: Any, tmp_path: Path) -> None:
    given = put(store, "bucket/cut", tmp_path, FORMATS[0])
    whole = (tmp_path / "dump").read_bytes()
    with store.open_output_stream("bucket/cut/dump") as out:
        out.write(whole[:700])
    with pytest.raises(CorruptInputError, match="cut short, at 700 bytes") as caught:
        lm.evaluate(lm.scan(**given, filesystem=store))
    assert (caught.value.path, caught.value.offset) == ("bucket/cut/dump", 700)


def test_an_object_that_changes_is_named(store: Any, tmp_path: Path) -> None:
    given = put(store, "bucket/changes", tmp_path, FORMATS[0])
    batches = lm.scan(**given, filesystem=store).feed().batches()
    batches.read_next_batch()
    with store.open_output_stream("bucket/changes/dump") as out:
        out.write(b"another")
    with pytest.raises(InputChangedError) as caught:
        batches.read_all()
    assert caught.value.path == "bucket/changes/dump"


def test_a_store_cannot_be_mapped(store: Any, tmp_path: Path) -> None:
    given = put(store, "bucket/map", tmp_path, FORMATS[0])
    with pytest.raises(SettingsError, match="memory_map"):
        lm.evaluate(lm.scan(**given, filesystem=store, memory_map=True))


def test_a_store_that_cannot_be_reached_is_no_damage() -> None:
    gone = pa.fs.S3FileSystem(
        access_key="a",
        secret_key="b",  # noqa: S106 - nobody looks
        endpoint_override="http://127.0.0.1:1",
        region="us-east-1",
        retry_strategy=pa.fs.AwsStandardS3RetryStrategy(max_attempts=1),
    )
    with pytest.raises(OSError, match="AWS Error") as caught:
        lm.evaluate(lm.scan("bucket/x", filesystem=gone))
    assert not isinstance(caught.value, CorruptInputError)


@each_format
def test_every_format_is_read_through_fsspec(form: Format, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    wrapped = pa.fs.PyFileSystem(pa.fs.FSSpecHandler(memory))
    name = form.name.replace(" ", "-")
    given = put(wrapped, f"shelf/{name}", tmp_path, form)
    urls = {key: f"memory://{given[key]}" for key in given.keys() & PATHS}
    assert lm.evaluate(lm.scan(**given | urls)).loss == WANTED
    assert lm.evaluate(lm.scan(**given, filesystem=memory)).loss == WANTED
    pattern = urls | {"source": f"memory://shelf/{name}/d*"}
    found = lm.evaluate(lm.scan(**given | pattern), by="file")
    assert [str(path).rpartition("/")[2] for path in found.groups] == ["dump"]


def test_urls_of_files_are_paths(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    FORMATS[0].write(tmp_path / "a b", LOGITS, {"labels": LABELS})
    url = (tmp_path / "a b" / "dump").as_uri()
    assert "%20" in url
    assert lm.evaluate(lm.scan(url, memory_map=True)).loss == WANTED
    here = pa.fs.LocalFileSystem()
    path = str(tmp_path / "a b")
    assert lm.evaluate(lm.scan(path, filesystem=here, memory_map=True)).loss == WANTED


@pytest.mark.parametrize("filesystem", [object(), "s3"])
def test_other_file_systems_are_refused(filesystem: Any) -> None:
    with pytest.raises(SettingsError, match="filesystem"):
        lm.scan("bucket/x", filesystem=filesystem)
