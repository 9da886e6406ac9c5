"""Recognises files that are not text in UTF-8, and says how to save them so that they can be imported."""

from __future__ import annotations

from typing import BinaryIO, Final

from rollbook_ops.file_format import NotImportable

_SAMPLE_BYTES: Final = 65_536
_SAVE: Final = 'save it as UTF-8 (in Excel: "CSV UTF-8")'
_BEGINNINGS: Final = {
    b"\xff\xfe": f"the file is UTF-16; {_SAVE}",
    b"\xfe\xff": f"the file is UTF-16; {_SAVE}",
    b"\x00\x00\xfe\xff": f"the file is UTF-32; {_SAVE}",
    b"PK\x03\x04": f"the file is a workbook or a zip archive, not text; {_SAVE}",
    b"\xd0\xcf\x11\xe0": f"the file is an old Excel workbook, not text; {_SAVE}",
    b"\x1f\x8b": "the file is compressed; unpack it with gunzip first",
    b"PAR1": "the file is a Parquet file, not text; save it as CSV or JSON lines",
}


def check_encoding(file: BinaryIO) -> None:
    """Leave the file at its beginning.

    Raises:
        NotImportable: it is not text in UTF-8, or its lines do not end as lines do today.
    """
    sample = file.read(_SAMPLE_BYTES)
    file.seek(0)
    for beginning, reason in _BEGINNINGS.items():
        if sample.startswith(beginning):
            raise NotImportable(reason)
    if sample.count(0) > len(sample) // 4:  # a few may be in a record, which is rejected alone
        raise NotImportable(f"the file has NUL bytes, as UTF-16 without a mark has; {_SAVE}")
    if b"\n" not in sample and b"\r" in sample.rstrip(b"\r"):
        raise NotImportable("the lines end in a carriage return alone, as on old Macs; save it with LF at their ends")
