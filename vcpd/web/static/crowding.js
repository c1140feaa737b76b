// Setups that move together, and those of one sector.
import { card, muted, symbolLinks, table, titled } from "./cards.js";
import { h } from "./dom.js";

export function crowdingCard(crowding) {
  if (!crowding) return null;
  const count = crowding.clusters.reduce((sum, cluster) => sum + cluster.members.length, 0);
  const now = `${count} setups ≈ ${crowding.effective_bets.toFixed(1)} independent bets`;
  return card("broad", titled("Setups that move together", now), groupsTable(crowding, count));
}

function groupsTable(crowding, count) {
  const together = crowding.clusters.filter((cluster) => cluster.members.length > 1);
  const rows = [
    ...together.map((cluster, at) => groupRow(`Moves together ${at + 1}`, cluster)),
    ...crowding.sectors.map((sector) => groupRow(sector.sector, sector)),
  ];
  if (rows.length) return table("bets", ["group", "setups", "mean correlation"], rows);
  return muted(count ? "No two setups move together, and no two are of one sector." : "There are no setups to compare.");
}

const groupRow = (name, group) =>
  h("tr", {}, h("td", {}, name), h("td", {}, symbolLinks(group.members)), h("td", {}, correlation(group.mean_correlation)));

// Rounded before it is written, so that no "-0.00" appears.
const correlation = (value) => (value === null ? "–" : (Math.round(100 * value) / 100 + 0).toFixed(2));
