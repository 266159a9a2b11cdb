/** The REST API of docs/protocol.md section 3: JSON in, JSON or ApiError out. */

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }
}

/** GET; with `query`, whose null values are left out. Throws ApiError. */
export async function get(path, query = {}, { signal } = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  const search = given.length > 0 ? `?${new URLSearchParams(given)}` : "";
  return answer(await send(path + search, { signal }));
}

/** POST or DELETE with the CSRF token that the page carries in a form. Throws ApiError. */
export async function change(method, path, csrfToken, body) {
  return answer(
    await send(path, {
      method,
      headers: { "X-CSRFToken": csrfToken, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    }),
  );
}

/** A path of the API with an exchange and a symbol in it; the slash of BTC/USDT stands for itself. */
export function marketPath(kind, exchange, symbol) {
  const parts = symbol.split("/").map(encodeURIComponent).join("/");
  return `/api/${kind}/${encodeURIComponent(exchange)}/${parts}/`;
}

/** Leave for the sign-in page, to come back here afterwards. */
export function signIn() {
  location.assign(`/login/?next=${encodeURIComponent(location.pathname + location.hash)}`);
}

async function send(path, options) {
  try {
    return await fetch(path, {
      ...options,
      credentials: "same-origin",
      headers: { Accept: "application/json", ...options.headers },
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The server cannot be reached.");
  }
}

async function answer(response) {
  if (response.status === 204) return null;
  const body = await response.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    return null;
  });
  if (response.ok && body !== null) return body;
  const { code = "failed", message = `The server answered ${response.status}.` } = body?.error ?? {};
  throw new ApiError(response.status, code, message);
}
