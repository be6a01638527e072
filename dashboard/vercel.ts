// The dashboard as a project of its own at Vercel, with the root directory `dashboard`. All that is the
// gateway's is passed on to GATEWAY_URL, so the browser never calls it directly, and no CORS is needed.
// https://vercel.com/docs/project-configuration/vercel-ts

/** What the gateway answers, and not the dashboard. */
const passedOn = ["/v1", "/api", "/auth", "/health", "/gateway-auth-config"];

function configure(gatewayURL: string | undefined) {
  const gateway = originOf(gatewayURL);
  return {
    framework: "vite",
    buildCommand: "npm run build -- --mode hosted",
    outputDirectory: "dist",
    rewrites: [
      ...passedOn.flatMap((path) => [
        { source: path, destination: `${gateway}${path}` },
        { source: `${path}/:path*`, destination: `${gateway}${path}/:path*` },
      ]),
      { source: "/((?!assets/).*)", destination: "/index.html" }, // the pages of the dashboard
    ],
    headers: [
      {
        source: "/(.*)",
        headers: [
          { key: "Content-Security-Policy", value: policy },
          { key: "X-Content-Type-Options", value: "nosniff" },
          { key: "Referrer-Policy", value: "same-origin" },
        ],
      },
      { source: "/assets/(.*)", headers: [{ key: "Cache-Control", value: "public, max-age=31536000, immutable" }] },
    ],
  };
}

/** The same as the gateway's own, which a test compares. */
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data: blob:; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

function originOf(url: string | undefined): string {
  if (!url) throw new Error("GATEWAY_URL is not set: set it to the gateway's address, such as https://gateway.example.com, among the project's environment variables");
  const parsed = new URL(url);
  if (parsed.protocol !== "https:" || parsed.pathname !== "/" || parsed.search || parsed.hash || parsed.username)
    throw new Error("GATEWAY_URL must be an https address without a path, such as https://gateway.example.com");
  return parsed.origin;
}

export const config = configure(process.env.GATEWAY_URL);
