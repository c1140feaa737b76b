// What the daemon says of itself, as it says it; says so when it falls silent.
const SILENT_AFTER_MS = 40_000;

export function follow({ pulse, silent, speaking }) {
  let source = null;
  let timer = 0;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(silent, SILENT_AFTER_MS);
  };
  const connect = () => {
    source = new EventSource("/api/events");
    source.addEventListener("open", () => { heard(); speaking(); });
    source.addEventListener("pulse", (event) => { heard(); speaking(); pulse(JSON.parse(event.data)); });
    source.addEventListener("error", () => {
      silent();
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 5_000);
    });
  };
  connect();
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
}
