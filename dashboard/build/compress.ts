import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";

/** Every browser that runs the page reads woff2; KaTeX's style names older formats, too. */
const unused = /\.(woff|ttf)$/;

/** Replaces every built file by its compressed form, which is what the binary holds. */
export function compressed(folder: string): Plugin {
  return {
    name: "compressed",
    apply: "build",
    closeBundle() {
      for (const name of filesBelow(folder)) {
        if (!unused.test(name)) writeFileSync(`${name}.gz`, gzipSync(readFileSync(name), { level: 9 }));
        rmSync(name);
      }
    },
  };
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name !== ".gitignore" && !name.endsWith(".gz"))
    .flatMap((name) => {
      const path = join(folder, name);
      return statSync(path).isDirectory() ? filesBelow(path) : [path];
    });
}
