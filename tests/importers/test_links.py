"""An import writes to no file that another account has put in its way; what it writes is private."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.interrupted_import import STARTED

from rollbook_ops.importers import Checkpoint, CheckpointFile, NotImportable, RejectedRows

CHECKPOINT = Checkpoint(fingerprint="f", started=STARTED, chunk_users=5)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_text("precious")
    return path


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_checkpoint_follows_no_link_and_is_private(tmp_path: Path, victim: Path) -> None:
    file = CheckpointFile(tmp_path / "users.csv")
    link = file.path.with_name(file.path.name + ".new")
    link.symlink_to(victim)

    file.save(CHECKPOINT)

    assert victim.read_text() == "precious"
    assert not os.path.lexists(link)
    assert file.load() == CHECKPOINT
    assert mode(file.path) == 0o600


def test_a_checkpoint_that_a_killed_import_was_writing_is_replaced(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "users.csv")
    file.path.with_name(file.path.name + ".new").write_text("half of i")

    file.save(CHECKPOINT)

    assert file.load() == CHECKPOINT


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize("is_there", [True, False], ids=["to a file", "to nothing"])
def test_the_file_of_rejected_records_is_no_link(tmp_path: Path, victim: Path, append: bool, is_there: bool) -> None:
    link = tmp_path / "rejected.csv"
    link.symlink_to(victim if is_there else tmp_path / "nothing")

    with (
        pytest.raises(NotImportable, match=r"rejected\.csv is a link; name the file itself"),
        RejectedRows(link, append),
    ):
        pass

    assert victim.read_text() == "precious"
    assert not (tmp_path / "nothing").exists()


def test_the_file_of_rejected_records_is_private(tmp_path: Path) -> None:
    with RejectedRows(tmp_path / "rejected.csv"):
        pass

    assert mode(tmp_path / "rejected.csv") == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another account")
def test_the_file_of_rejected_records_is_not_anothers(tmp_path: Path, victim: Path) -> None:
    os.chown(victim, 65_534, 65_534)

    with pytest.raises(NotImportable, match="belongs to another account"), RejectedRows(victim):
        pass

    assert victim.read_text() == "precious"


def test_an_earlier_file_of_rejected_records_is_overwritten_or_continued(tmp_path: Path) -> None:
    path = tmp_path / "rejected.csv"
    path.write_text("before\n")

    with RejectedRows(path, append=True):
        pass
    assert path.read_text() == "before\n"

    with RejectedRows(path):
        pass
    assert path.read_text() == ""
