// Login with the page's password. The session's cookie alone changes nothing: this value goes with each request.
import { byId } from "./dom.js";

const CSRF_KEY = "vcpd.csrf";
let open = null; // the dialog that is open: every request that needs a login waits for the same one

function stored() {
  try { return localStorage.getItem(CSRF_KEY); } catch { return null; }
}

function store(value) {
  try {
    if (value) localStorage.setItem(CSRF_KEY, value);
    else localStorage.removeItem(CSRF_KEY);
  } catch { /* a browser without storage asks again after a reload */ }
  csrf = value;
  showAccount();
}

let csrf = stored();
let readingRequiresLogin = false;
let changingRequiresLogin = true;

export const mayChange = () => Boolean(csrf) || !changingRequiresLogin;
export const csrfHeader = () => (csrf ? { "X-Vcpd-Csrf": csrf } : {});

export function askForLogin() {
  open ??= showDialog().finally(() => { open = null; });
  return open;
}

function showDialog() {
  const dialog = byId("login");
  store(null);
  byId("login-error").textContent = "";
  byId("login-password").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "done"), { once: true }));
}

async function submit(event) {
  event.preventDefault();
  const button = byId("login-submit");
  button.disabled = true;
  byId("login-error").textContent = await login(byId("login-password").value).catch(() => "The daemon does not answer.");
  button.disabled = false;
  if (byId("login-error").textContent === "") byId("login").close("done");
  else byId("login-password").select();
}

async function login(password) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch("api/session", { method: "POST", headers, body: JSON.stringify({ password }) });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) return body.error ?? `The daemon answered ${answer.status}.`;
  store(body.csrf);
  return "";
}

async function logout() {
  const reload = readingRequiresLogin;
  await fetch("api/session", { method: "DELETE", headers: csrfHeader() }).catch(() => {});
  store(null);
  if (reload) location.reload();
}

function showAccount() {
  byId("account").textContent = csrf ? "Log out" : "Log in";
}

export function listenForLogin() {
  byId("login-form").addEventListener("submit", submit);
  byId("login-cancel").addEventListener("click", () => byId("login").close(""));
  byId("account").addEventListener("click", () => (csrf ? logout() : askForLogin()));
}

// Resolves as soon as this browser may read: at once on the daemon's own machine, else after a login.
export async function mayRead() {
  const session = await fetch("api/session", { headers: csrfHeader() }).then((answer) => answer.json()).catch(() => null);
  if (session === null) return;
  if (csrf && !session.logged_in) store(null);
  readingRequiresLogin = session.reading_requires_login;
  changingRequiresLogin = session.required;
  byId("account").hidden = !session.required;
  byId("login-cancel").hidden = readingRequiresLogin;
  byId("login-why").textContent = readingRequiresLogin ? "Other machines can reach this page, so it asks who reads."
    : "Starting and pausing jobs needs a login. Reading needs none.";
  showAccount();
  while (readingRequiresLogin && !csrf) await askForLogin();
}
