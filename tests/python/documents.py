"""Texts of real size."""

import pathlib

LICENCES = pathlib.Path("/usr/share/common-licenses")


def licences() -> str:
    """Every licence text that Debian puts on a machine, one after the other: more than 100 KB of prose."""
    texts = [path.read_text() for path in sorted(LICENCES.iterdir()) if not path.is_symlink()]
    joined = "\n\n".join(texts)
    assert len(joined) > 100_000, "this machine lacks the licence texts of Debian's base-files"
    return joined


def one_megabyte() -> str:
    """The licences over and over, up to exactly one MiB."""
    text = licences()
    return (text * (1024 * 1024 // len(text) + 1)).encode()[: 1024 * 1024].decode(errors="ignore")
