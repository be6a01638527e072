import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ended, until } from "./gateway";

/** Where the newest PostgreSQL is, as Debian's package puts it. */
function findPrograms(): string {
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const folder = versions.map((v) => join(root, v, "bin")).find((path) => existsSync(join(path, "initdb")));
  if (!folder) throw new Error("no PostgreSQL is installed: `make test-setup` installs it on Debian, or says what is missing");
  return folder;
}

/** The user that PostgreSQL runs as: it refuses root. */
function owner(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const [uid, gid] = ["-u", "-g"].map((flag) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" })));
  return { uid, gid };
}

/** A PostgreSQL cluster of its own, with one database, at a Unix socket in its folder. */
export class Postgres {
  private constructor(
    private readonly programs: string,
    private readonly folder: string,
    private readonly child: ChildProcess,
  ) {}

  static async start(): Promise<Postgres> {
    const programs = findPrograms();
    const folder = mkdtempSync("/tmp/dashpg-");
    const user = owner();
    if (user.uid !== undefined && user.gid !== undefined) chownSync(folder, user.uid, user.gid);
    const data = join(folder, "data");
    execFileSync(join(programs, "initdb"), ["--pgdata", data, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"], { ...user, cwd: folder, stdio: "pipe" });
    const child = spawn(join(programs, "postgres"), ["-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"], { ...user, cwd: folder, stdio: "ignore" });
    const postgres = new Postgres(programs, folder, child);
    await until("PostgreSQL answers", async () => postgres.run("SELECT 1", "postgres"), 45_000);
    postgres.run("CREATE DATABASE gateway", "postgres");
    return postgres;
  }

  get url() {
    return `postgres://postgres@/gateway?host=${encodeURIComponent(this.folder)}&sslmode=disable`;
  }

  /** Runs statements and returns what they print. */
  run(sql: string, database = "gateway"): string {
    const args = ["-h", this.folder, "-U", "postgres", "-d", database, "-At", "-v", "ON_ERROR_STOP=1"];
    return execFileSync(join(this.programs, "psql"), args, { input: sql, encoding: "utf8", stdio: "pipe" });
  }

  async remove() {
    this.child.kill("SIGINT"); // a fast shutdown
    await ended(this.child);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
