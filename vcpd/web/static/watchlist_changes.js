// Sends changes of watch lists, and says what was taken and what was refused.
import { get, send } from "./api.js";
import { h, notice } from "./dom.js";
import { download } from "./export.js";

const TYPES = { tradingview: "text/plain", basket: "text/csv", "basket-json": "application/json" };

// Gives whether the change was taken; `change` holds the message and what draws the view again. The body may come later.
export async function applyChange({ message, renew }, path, body) {
  try {
    const done = await send(path ? `api/watchlists/${path}` : "api/watchlists", await body);
    await renew();
    message.replaceChildren(h("p", {}, counted(done)), h("ul", { class: "lines" }, done.refused.map(refusal)));
    return true;
  } catch (error) {
    message.replaceChildren(notice("Not changed", error.message));
    return false;
  }
}

function counted(done) {
  const counts = [[done.added, "added"], [done.known, "in the list already"], [done.removed, "removed"], [done.changed, "changed"]];
  return counts.filter(([count]) => count).map(([count, word]) => `${count} ${word}`).join(", ") || "Nothing was changed";
}

const refusal = (row) => h("li", { class: "amber" }, `${row.place}: ${row.reason}`);

export async function exportList({ message }, name, format) {
  try {
    const file = await get(`api/watchlists/export?${new URLSearchParams({ name, format })}`);
    download(file.file_name, file.text, TYPES[format]);
    message.replaceChildren(h("p", {}, `${file.file_name} is written`));
  } catch (error) {
    message.replaceChildren(notice("Not exported", error.message));
  }
}
