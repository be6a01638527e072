import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { writeScenarios, type Scenario } from "./scenarios";

const need = (name: string): string => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run these tests with \`make test-browser\``);
  return value;
};

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port is free");
  return address.port;
}

export const until = async <T>(what: string | (() => string), look: () => Promise<T | false | null | undefined>, within = 20_000): Promise<T> => {
  const deadline = Date.now() + within;
  for (;;) {
    const found = await look().catch(() => null);
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`${typeof what === "string" ? what : what()}: not within ${within} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

export function ended(child: ChildProcess): Promise<void> {
  return child.exitCode !== null || child.signalCode !== null ? Promise.resolve() : new Promise((resolve) => child.once("exit", () => resolve()));
}

/** The fake provider as a process: it answers from scenarios and keeps books. */
export class Provider {
  private constructor(
    private readonly child: ChildProcess,
    readonly url: string,
  ) {}

  static async start(folder: string, scenarios: readonly Scenario[]): Promise<Provider> {
    writeScenarios(join(folder, "scenarios"), scenarios);
    const child = spawn(need("FAKE_PROVIDER_BINARY"), ["-scenarios", join(folder, "scenarios")], { stdio: ["pipe", "pipe", "inherit"] });
    const address = await new Promise<string>((resolve) => createInterface(child.stdout!).once("line", resolve));
    return new Provider(child, `http://${address}`);
  }

  async books(): Promise<{ calls: { model: string; body: string; left: boolean }[] }> {
    return (await fetch(`${this.url}/_books`)).json() as never;
  }

  async stop() {
    this.child.kill("SIGTERM");
    await ended(this.child);
  }
}

/** A gateway as people run it: `ai-gateway run` with Envoy, in a folder of its own. */
export class Gateway {
  private child: ChildProcess | null = null;
  readonly database: string;
  private output = "";

  private constructor(
    readonly folder: string,
    readonly port: number,
    private readonly env: Record<string, string>,
  ) {
    this.database = join(folder, "gateway.db");
  }

  get url() {
    return `http://localhost:${this.port}`;
  }

  /** Starts one; `config` is what its file holds. */
  static async start(env: Record<string, string> = {}, config?: string): Promise<Gateway> {
    const folder = mkdtempSync("/tmp/dash-");
    const file = join(folder, "gateway.yaml");
    if (config) writeFileSync(file, config);
    const gateway = new Gateway(folder, await freePort(), { ...env, ...(config ? { AI_GATEWAY_CONFIG: file } : {}) });
    await gateway.launch();
    return gateway;
  }

  async launch() {
    const env = { PATH: process.env.PATH, TMPDIR: this.folder, PORT: String(this.port), ...(this.env.DATABASE_URL ? { AI_GATEWAY_STATE_DIR: join(this.folder, "state") } : { DATABASE_PATH: this.database }), ENVOY_PATH: need("ENVOY_PATH"), ...this.env };
    const child = spawn(need("GATEWAY_BINARY"), ["run"], { env, stdio: ["ignore", "pipe", "pipe"], cwd: this.folder });
    child.stdout.on("data", (data) => (this.output += data));
    child.stderr.on("data", (data) => (this.output += data));
    this.child = child;
    await until(() => `the gateway is ready; it said: ${this.output}`, async () => child.exitCode !== null || (await fetch(`${this.url}/health`)).ok, 45_000);
    if (child.exitCode !== null) throw new Error(`the gateway has ended: ${this.output}`);
  }

  async get<T>(path: string): Promise<T> {
    const response = await fetch(this.url + path);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}\n${this.output.slice(-2000)}`);
    return (await response.json()) as T;
  }

  /** Asks the API to make or change something, as its own pages do. */
  async post<T>(path: string, body: unknown, key?: string): Promise<T> {
    const headers = { "Content-Type": "application/json", Origin: this.url, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
    const response = await fetch(this.url + path, { method: "POST", headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  /** Kills `serve` as the kernel would; `run` starts it again. */
  killServe() {
    const pid = this.processes().find((p) => p.args.includes("serve"))?.pid;
    if (!pid) throw new Error("serve does not run");
    process.kill(pid, "SIGKILL");
  }

  /** The processes whose temporary folder is this gateway's. */
  private processes(): { pid: number; args: string[] }[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        try {
          const mine = readFileSync(`/proc/${name}/environ`, "utf8").split("\0").includes(`TMPDIR=${this.folder}`);
          readlinkSync(`/proc/${name}/exe`);
          return mine ? [{ pid: Number(name), args: readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0") }] : [];
        } catch {
          return []; // it has ended
        }
      });
  }

  async stop() {
    if (!this.child) return;
    this.child.kill("SIGINT");
    await ended(this.child);
    this.child = null;
  }

  async remove() {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
