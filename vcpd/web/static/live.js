// The event stream of the daemon's state; reports when the connection is lost.
import { mayRead } from "./login.js";

const DISCONNECTED_AFTER_MS = 40_000;

export function follow({ pulse, disconnected, connected }) {
  let source = null;
  let timer = 0;
  const received = () => {
    clearTimeout(timer);
    timer = setTimeout(disconnected, DISCONNECTED_AFTER_MS);
  };
  const connect = () => {
    source = new EventSource("api/events");
    source.addEventListener("open", () => { received(); connected(); });
    source.addEventListener("pulse", (event) => { received(); connected(); pulse(JSON.parse(event.data)); });
    source.addEventListener("error", () => {
      disconnected();
      if (source.readyState === EventSource.CLOSED) setTimeout(() => mayRead().then(connect), 5_000);
    });
  };
  connect();
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
}
