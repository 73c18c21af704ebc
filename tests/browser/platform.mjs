// Starts the real `mcp up`, as a person would, and stops it again.
import { spawn } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";

const ROOT = new URL("../../", import.meta.url).pathname;
const BINARY = process.env.MCP_BIN ?? join(ROOT, "target/debug/mcp");
const READY_MS_MAX = 60_000;

/**
 * A running platform on free ports, with its data in a folder of its own.
 *
 * @returns {Promise<{gateway: string, keyHash: string, stop: () => Promise<void>}>}
 */
export async function startPlatform() {
  const folder = await mkdtemp(join(tmpdir(), "mcp-browser-"));
  const ready = join(folder, "ready.json");
  const log = await open(join(folder, "log"), "w");
  const child = spawn(
    BINARY,
    ["up", "--listen", "127.0.0.1:0", "--data-dir", join(folder, "data"), "--ready-file", ready],
    { stdio: ["ignore", log.fd, log.fd], cwd: folder },
  );
  const ended = once(child, "exit");
  await log.close();

  const told = await untilReady(child, ready, join(folder, "log"));
  return {
    gateway: told.gateway,
    keyHash: await keyHash(new URL(told.gateway), await readFile(told.edge_ca)),
    async stop() {
      child.kill("SIGTERM");
      const [code] = await ended;
      const said = await readFile(join(folder, "log"), "utf8");
      await rm(folder, { recursive: true });
      if (code !== 0) throw new Error(`mcp up ended with ${code}:\n${said}`);
    },
  };
}

async function untilReady(child, ready, log) {
  const deadline = Date.now() + READY_MS_MAX;
  for (;;) {
    try {
      return JSON.parse(await readFile(ready, "utf8"));
    } catch {
      // Not there, or not whole yet.
    }
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill("SIGKILL");
      throw new Error(`mcp up did not get ready:\n${await readFile(log, "utf8")}`);
    }
    await sleep(50);
  }
}

/**
 * The hash of the gateway's public key, after its certificate was verified against the edge's own authority. A browser
 * told to accept this key accepts no other stranger.
 */
async function keyHash(gateway, authority) {
  const socket = connect({ host: gateway.hostname, port: Number(gateway.port), ca: authority, ALPNProtocols: ["h2"] });
  await once(socket, "secureConnect");
  const certificate = new X509Certificate(socket.getPeerCertificate().raw);
  socket.destroy();
  const key = certificate.publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(key).digest("base64");
}
