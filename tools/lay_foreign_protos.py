"""Lays `buf/validate/validate.proto` into third_party/proto, out of the crate that enforces those rules.

The tree holds no copy of it: what the servers enforce and what other languages' generators read is one file.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys

CRATE = "prost-protovalidate-types"
FILE = pathlib.Path("buf/validate/validate.proto")
TARGET = pathlib.Path("third_party/proto")


def main() -> None:
    # For this machine alone: else cargo fetches the crates of every other platform too.
    host = re.search(r"^host: (\S+)$", output("rustc", "-vV"), re.MULTILINE).group(1)
    metadata = output("cargo", "metadata", "--format-version", "1", "--filter-platform", host)
    packages = json.loads(metadata)["packages"]
    crate = next((package for package in packages if package["name"] == CRATE), None)
    if crate is None:
        sys.exit(f"{CRATE} is not among the dependencies, so there is no {FILE} to lay")
    source = pathlib.Path(crate["manifest_path"]).parent / "proto" / FILE
    target = TARGET / FILE
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def output(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
