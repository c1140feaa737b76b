// Requests to the daemon. An error carries the daemon's sentence; a daemon that does not answer is an error too.
import { askForLogin, csrfHeader } from "./login.js";

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function request(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new ApiError(0, "The daemon does not answer. Is it running?");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(answer.status, body.error ?? `The daemon answered ${answer.status}.`);
  return body;
}

export const get = (path, signal) => afterLogin(() => request(path, { signal, headers: { Accept: "application/json" } }));

// The same without asking for a login: what it keeps is not worth a question.
export const putQuietly = (path, body) => request(path, {
  method: "PUT", body: JSON.stringify(body), headers: { "Content-Type": "application/json", "X-Vcpd-Request": "1", ...csrfHeader() },
});

export const post = (path) => change("POST", path);
export const send = (path, body) => change("POST", path, body);
export const put = (path, body) => change("PUT", path, body);
export const remove = (path) => change("DELETE", path);

// The headers are made anew for each attempt: a login in between changes them.
const change = (method, path, body) => afterLogin(() => request(path, changing(method, body)));

function changing(method, body) {
  const headers = { "X-Vcpd-Request": "1", ...csrfHeader() };
  if (body === undefined) return { method, headers };
  return { method, headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

// Sends a request; where it needs a login, asks for one and sends it again.
async function afterLogin(send) {
  try {
    return await send();
  } catch (error) {
    if (error.status !== 401 || !(await askForLogin())) throw error;
    return send();
  }
}

export const symbolPath = (kind, symbol) => `api/${kind}/${encodeURIComponent(symbol)}`;
