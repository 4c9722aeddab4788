// The admin API, as any client uses it.
const KEY = 'firedoor-token';
let token = null;
try { token = sessionStorage.getItem(KEY); } catch { /* a browser that stores nothing asks again after each load */ }

// The token is this tab's alone, and gone with it.
export function keep(value) {
  token = value;
  try {
    if (value === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, value);
  } catch { /* as above */ }
}

export const hasToken = () => token !== null;

// What the API says instead of an answer.
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? `firedoor answered ${status}`);
    this.status = status;
    this.problems = body.problems ?? [];
  }
}

export async function ask(path, { method = 'GET', body, match, headers = {}, signal } = {}) {
  const response = await fetch(path, {
    method,
    signal,
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
    headers: {
      ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...(match ? { 'If-Match': match } : {}),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
  return response;
}

export const json = async (path, options) => (await ask(path, options)).json();

export const plan = (down, up) => json('/v1/plan', { method: 'POST', body: { down, up } });
