import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import tailwind from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { compressed } from "./build/compress.ts";

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const web = path("../dashboard-api/web");
const gateway = process.env.GATEWAY_URL ?? "http://localhost:3002";

export default defineConfig(({ command, mode }) => {
  const hosted = mode === "hosted"; // by somebody else than the gateway: plain files, in dist
  if (command === "build" && !hosted) {
    rmSync(`${web}/assets`, { recursive: true, force: true }); // the folder's .gitignore stays
  }
  return {
    plugins: [react(), tailwind(), hosted ? null : compressed(web)],
    resolve: { alias: { "@": path("./src") } },
    build: { outDir: hosted ? path("dist") : web, emptyOutDir: hosted, assetsInlineLimit: 0, manifest: "assets/manifest.json", chunkSizeWarningLimit: 900 },
    server: {
      port: 5173,
      strictPort: true,
      proxy: Object.fromEntries(["/v1", "/api", "/auth", "/health", "/gateway-auth-config"].map((p) => [p, { target: gateway }])),
    },
    test: {
      projects: [
        { extends: true, test: { name: "unit", environment: "jsdom", include: ["src/**/*.test.{ts,tsx}", "test/unit/**/*.test.ts"] } },
        {
          extends: true,
          test: { name: "screenshots", environment: "node", include: ["test/screenshots.ts"], testTimeout: 300_000, hookTimeout: 60_000 },
        },
        { extends: true, test: { name: "deployed", environment: "node", include: ["test/deployed.ts"], testTimeout: 90_000, hookTimeout: 60_000 } },
        {
          extends: true,
          test: { name: "browser", environment: "node", include: ["test/browser/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000, fileParallelism: false },
        },
      ],
    },
  };
});
