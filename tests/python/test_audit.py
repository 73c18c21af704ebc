"""The audit logs, checked by implementations that share no code with the platform's: pymerkle and hashlib."""

import base64
import hashlib
import json
import pathlib
import subprocess

import pytest
from platform_up import Platform
from pymerkle import InclusionProof, InmemoryTree, InvalidProof
from pymerkle.core import _inclusion_path_layout


class Export:
    """An export of a log, read by hand."""

    def __init__(self, text: str) -> None:
        head, *rows = [json.loads(line) for line in text.splitlines()]
        self.key = head["log"]["key"]
        origin, size, root, *_ = head["log"]["checkpoint"].split("\n")
        self.origin, self.size, self.root = origin, int(size), base64.b64decode(root)
        self.rows = [row["row"] for row in rows]
        self.leaves = [base64.b64decode(row["leaf"]) for row in self.rows if "index" in row]

    def tree(self, size: int | None = None) -> InmemoryTree:
        tree = InmemoryTree(algorithm="sha256")
        for leaf in self.leaves[:size]:
            tree.append_entry(leaf)
        return tree


def checkpoint(platform: Platform, service: str) -> dict:
    return json.loads(platform.run("audit", "checkpoint", "--service", service, "--output", "json"))


def root_of(note: str) -> tuple[int, bytes]:
    _, size, root, *_ = note.split("\n")
    return int(size), base64.b64decode(root)


def hashes(path: list[str]) -> list[bytes]:
    return [base64.b64decode(text) for text in path]


@pytest.fixture(scope="module")
def older(platform: Platform) -> dict:
    """A checkpoint of auth's log, before more was written."""
    for n in range(9):
        platform.token("merkle", f"user-{n}")
    return signed(platform, "auth", 9)


def signed(platform: Platform, service: str, rows: int) -> dict:
    """The first checkpoint that covers so many rows; one comes within about a second."""
    for _ in range(200):
        try:
            newest = checkpoint(platform, service)
        except AssertionError:
            newest = {"size": 0}
        if newest["size"] >= rows:
            return newest
        subprocess.run(["sleep", "0.1"], check=True)
    raise AssertionError(f"no checkpoint of {service} covers {rows} rows: {newest}")


@pytest.fixture(scope="module")
def export(platform: Platform, older: dict) -> Export:
    for n in range(9):
        platform.token("merkle", f"later-{n}")
    signed(platform, "auth", older["size"] + 9)
    return Export(platform.run("audit", "export", "--service", "auth"))


def test_another_tree_over_the_same_leaves_has_the_root_that_was_signed(export: Export) -> None:
    assert export.size == len(export.leaves) > 10
    assert export.tree().get_root() == export.root
    assert export.origin == "mcp/mcp.local/auth"


def test_each_leaf_commits_to_its_salt_and_row(export: Export) -> None:
    for row in export.rows:
        leaf = base64.b64decode(row["leaf"])
        assert leaf[0] == 1 and len(base64.b64decode(row["salt"])) == 32
        committed = hashlib.sha256(base64.b64decode(row["salt"]) + row["content"].encode()).digest()
        assert leaf[1:] == committed
        assert json.loads(row["content"])["service"] == "auth"


def test_another_implementation_accepts_the_proof_that_a_row_is_in_the_log(
    platform: Platform, export: Export
) -> None:
    for index in (0, 1, export.size // 2, export.size - 1):
        told = json.loads(
            platform.run("audit", "prove", "--service", "auth", "--index", str(index), "--output", "json")
        )
        size, root = root_of(told["checkpoint"])
        leaf = base64.b64decode(told["leaf"])
        base = hashlib.sha256(b"\0" + leaf).digest()
        rule, _ = _inclusion_path_layout(index + 1, size)
        proof = InclusionProof("sha256", True, size, index + 1, rule, [base, *hashes(told["path"])])
        proof.verify(base, root, index=index + 1, size=size)
        with pytest.raises(InvalidProof):
            proof.verify(hashlib.sha256(b"\0" + b"another").digest(), root)
        assert told["proof"].startswith("c2sp.org/tlog-proof@v1\nindex ")


def test_another_implementation_proves_that_the_log_only_grew(older: dict, export: Export) -> None:
    prior_size, prior = root_of(older["checkpoint"])
    tree = export.tree()
    tree.prove_consistency(prior_size, export.size).verify(prior, export.root)
    with pytest.raises(InvalidProof):
        tree.prove_consistency(prior_size - 1, export.size).verify(prior, export.root)


def test_the_proof_that_the_log_only_grew_holds_as_rfc_9162_checks_it(
    platform: Platform, older: dict, export: Export, tmp_path: pathlib.Path
) -> None:
    kept = tmp_path / "kept"
    kept.write_text(older["checkpoint"])
    told = json.loads(platform.run("audit", "prove", "--service", "auth", "--from", kept))
    (first, first_root), (second, second_root) = root_of(told["older"]), root_of(told["newer"])
    path = hashes(told["path"])
    assert only_grew(first, second, first_root, second_root, path)
    assert not only_grew(first, second, second_root, second_root, path)
    assert not only_grew(first, second, first_root, second_root, path[:-1])


def only_grew(first: int, second: int, first_root: bytes, second_root: bytes, path: list[bytes]) -> bool:
    """RFC 9162, section 2.1.4.2, step by step."""
    if first & (first - 1) == 0:
        path = [first_root, *path]
    if not path:
        return False
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for node in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = pair(node, fr), pair(node, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = pair(sr, node)
        fn, sn = fn >> 1, sn >> 1
    return fr == first_root and sr == second_root and sn == 0


def pair(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def test_the_signature_is_ed25519_over_the_note_by_another_implementation(
    export: Export, older: dict, tmp_path: pathlib.Path
) -> None:
    note = older["checkpoint"]
    text, _, signatures = note.rpartition("\n\n")
    line = signatures.strip()
    assert line.startswith(f"— {export.origin} ")
    signature = base64.b64decode(line.split(" ")[2])[4:]
    (tmp_path / "key.pem").write_text(pem(export.key))
    (tmp_path / "text").write_bytes((text + "\n").encode())
    (tmp_path / "signature").write_bytes(signature)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-rawin", "-inkey", tmp_path / "key.pem"]
    command += ["-in", tmp_path / "text", "-sigfile", tmp_path / "signature"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def pem(key: str) -> str:
    """The public key of a verifier key, as openssl reads one."""
    public = base64.b64decode(key.split("+", 2)[2])[1:]
    der = bytes.fromhex("302a300506032b6570032100") + public
    return (
        "-----BEGIN PUBLIC KEY-----\n" + base64.b64encode(der).decode() + "\n-----END PUBLIC KEY-----\n"
    )


def test_verification_on_the_platforms_own_disk_is_sound(platform: Platform, export: Export) -> None:
    told = json.loads(platform.run("audit", "verify", "--output", "json"))
    assert {log["log"] for log in told} >= {"ca", "auth", "context", "summarization", "gateway"}
    assert all(log["sound"] for log in told), told


def test_an_edited_export_is_not_sound(platform: Platform, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "export.jsonl"
    path.write_text(platform.run("audit", "export", "--service", "auth").replace("operator/local", "operator/other"))
    command = [platform.binary, "audit", "verify", path, "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 65, done.stdout + done.stderr
    assert "was edited" in done.stdout
