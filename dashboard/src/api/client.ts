/** Calls of the gateway's own API. What a page may see is decided there, not here. */

/** An error of the API, in the words of its envelope. */
export class APIError extends Error {
  constructor(
    readonly status: number,
    readonly code: string | null,
    message: string,
    readonly retryAfter: number | null,
    readonly param: string | null = null,
  ) {
    super(message);
  }
}

export type Query = Record<string, string | number | boolean | null | undefined | string[]>;

/** Joins a path and its parameters; those without a value are left out. */
export function address(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) params.append(name, String(one));
  }
  const text = params.toString();
  return text ? `${path}?${text}` : path;
}

export async function getJSON<T>(path: string, query?: Query, signal?: AbortSignal, headers?: Record<string, string>): Promise<T> {
  return call<T>(address(path, query), { signal, headers });
}

export async function sendJSON<T>(method: "POST" | "PATCH" | "PUT" | "DELETE", path: string, body?: unknown): Promise<T> {
  return call<T>(path, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
}

async function call<T>(url: string, init: RequestInit): Promise<T> {
  const response = await reach(url, init);
  if (!response.ok) throw await errorOf(response);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, credentials: "same-origin" });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new APIError(0, "unreachable", "The gateway cannot be reached.", null);
  }
}

async function errorOf(response: Response): Promise<APIError> {
  const retryAfter = Number(response.headers.get("retry-after")) || null;
  let body: { error?: { message?: string; code?: string | null; param?: string | null } } = {};
  try {
    body = await response.json();
  } catch {
    // an answer of something between us and the gateway
  }
  const message = body.error?.message ?? `The gateway answered ${response.status} ${response.statusText}.`;
  return new APIError(response.status, body.error?.code ?? null, message, retryAfter, body.error?.param ?? null);
}
