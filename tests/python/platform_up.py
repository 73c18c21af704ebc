"""Starts the real `mcp up`, as a person would, and stops it again."""

import json
import os
import pathlib
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
READY_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30


class Platform:
    """A running platform on free ports, with its data in a folder of its own."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.binary = pathlib.Path(os.environ.get("MCP_BIN", ROOT / "target/debug/mcp"))
        self.data = folder / "data"
        self.log = folder / "log"
        ready = folder / "ready.json"
        command = [self.binary, "up", "--listen", "127.0.0.1:0"]
        command += ["--data-dir", self.data, "--ready-file", ready]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=folder
            )
        self._await(ready)
        told = json.loads(ready.read_text())
        self.gateway = told["gateway"].removeprefix("https://")
        self.edge_ca = pathlib.Path(told["edge_ca"]).read_bytes()
        self.services = told["services"]

    def _await(self, ready: pathlib.Path) -> None:
        deadline = time.monotonic() + READY_SECONDS_MAX
        while True:
            try:
                json.loads(ready.read_text())
                return
            except (FileNotFoundError, json.JSONDecodeError):
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError(f"mcp up did not get ready:\n{self.log.read_text()}")
            time.sleep(0.05)

    def run(self, *arguments: str | os.PathLike) -> str:
        """What a verb of `mcp` prints when it talks to this platform."""
        done = subprocess.run(
            [self.binary, *arguments, "--data-dir", self.data],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"mcp {arguments[0]} ended with {done.returncode}: {done.stderr}"
        return done.stdout

    def token(self, tenant: str, user: str, role: str = "editor", bind: pathlib.Path | None = None) -> str:
        """An access token, bound to a certificate if one is named."""
        binding = [] if bind is None else ["--bind", bind]
        return self.run("token", "--tenant", tenant, "--user", user, "--role", role, *binding).strip()

    def certificate(self, name: str, folder: pathlib.Path) -> pathlib.Path:
        """The folder of a mesh certificate: `cert.pem`, `key.pem`, `ca.pem`."""
        self.run("cert", "--service", name, "--out", folder)
        return folder

    def stop(self) -> int:
        """Asks it to stop; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
