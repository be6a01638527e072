import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";

const password = "correct horse battery staple";

/** A real OpenID provider on loopback; see test/dex. */
export class Dex {
  private constructor(
    private readonly child: ChildProcess,
    readonly issuer: string,
  ) {}

  static async start(port: number, redirects: readonly string[]): Promise<Dex> {
    const binary = process.env.DEX_BINARY;
    if (!binary) throw new Error("DEX_BINARY is not set: run these tests with `make test-browser`");
    const child = spawn(binary, [], { stdio: ["pipe", "pipe", "inherit"] });
    const people = ["ada", "bob", "eve", "unverified"].map((name, i) => ({ email: `${name}@example.com`, name: name[0]!.toUpperCase() + name.slice(1), id: `id-${i}`, password, unverified: name === "unverified" }));
    child.stdin!.write(`${JSON.stringify({ address: `127.0.0.1:${port}`, client: "ai-gateway", secret: "dex-client-secret", redirects, people })}\n`);
    const issuer = await new Promise<string>((resolve, reject) => {
      createInterface(child.stdout!).once("line", resolve);
      child.once("exit", () => reject(new Error("Dex has ended")));
    });
    return new Dex(child, issuer);
  }

  static env = (port: number): Record<string, string> => ({ OIDC_ISSUER: `http://127.0.0.1:${port}/dex`, OIDC_CLIENT_ID: "ai-gateway", OIDC_CLIENT_SECRET: "dex-client-secret" });

  async stop() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGKILL");
    await ended;
  }
}

export const dexPassword = password;
