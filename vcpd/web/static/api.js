// Questions to the daemon. An answer that is an error carries a sentence; a daemon that is away is one too.
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options) {
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

export const get = (path, signal) => ask(path, { signal, headers: { Accept: "application/json" } });
export const post = (path) => ask(path, { method: "POST", headers: { "X-Vcpd-Request": "1" } });
export const symbolPath = (kind, symbol) => `/api/${kind}/${encodeURIComponent(symbol)}`;
