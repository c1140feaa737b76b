// Keeps the page's own files, so that it opens without the daemon; what the daemon answers is never kept.
const KEPT = "vcpd-page-1";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const path = new URL(request.url).pathname.slice(new URL(self.registration.scope).pathname.length);
  if (request.method === "GET" && (path === "" || path.startsWith("static/"))) event.respondWith(newest(event));
});

// The daemon's file while it answers, else the one that was kept. A file that cannot be kept is shown all the same.
async function newest(event) {
  const { request } = event;
  const kept = await caches.open(KEPT);
  try {
    const answer = await fetch(request);
    if (answer.ok) event.waitUntil(kept.put(request, answer.clone()).catch(() => {}));
    return answer;
  } catch (error) {
    const found = await kept.match(request, { ignoreSearch: true });
    if (found) return found;
    throw error;
  }
}
