// A job's times in words: the session's own moments, and the ordinary ones among cron expressions.
const WEEK = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
// A schedule names a day by its number, where Sunday is 0 or 7, or by its first three letters.
const DAYS = Object.fromEntries([...WEEK.flatMap((name, at) => [[at, name], [name.slice(0, 3).toUpperCase(), name]]), [7, "Sunday"]]);
const NAMED = {
  "@hourly": "every hour", "@daily": "every day at 00:00", "@midnight": "every day at 00:00",
  "@weekly": "every Sunday at 00:00", "@monthly": "on the first of each month", "@yearly": "on 1 January",
};

export function inWords(schedule) {
  if (!schedule) return "only when you start it";
  if (schedule in NAMED) return NAMED[schedule];
  const fields = schedule.trim().split(/\s+/);
  if (fields.length === 5 && !schedule.includes("session") && !schedule.includes(":")) return cronInWords(fields) ?? "at times of its own";
  return `each session, ${listed(schedule.split(",").map((moment) => moment.trim()).map(momentInWords))}`;
}

function momentInWords(moment) {
  const found = /^session_(open|close)\s*(?:([+-])\s*(\d+)\s*(s|min|h)?)?$/.exec(moment);
  if (!found) return `at ${moment}`;
  const [, anchor, sign, amount, unit] = found;
  return amount ? `${amount} ${unit ?? "s"} ${sign === "+" ? "after" : "before"} the ${anchor}` : `at the ${anchor}`;
}

const listed = (parts) => (parts.length > 1 ? `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}` : parts[0]);
const two = (text) => text.padStart(2, "0");

function cronInWords([minute, hour, day, month, weekday]) {
  if (month !== "*" || !/^\d+(,\d+)*$/.test(minute)) return null;
  if (hour === "*" && day === "*" && weekday === "*") return `every hour at minute ${listed(minute.split(","))}`;
  if (!/^\d+(,\d+)*$/.test(hour)) return null;
  const times = listed(hour.split(",").flatMap((at) => minute.split(",").map((past) => `${two(at)}:${two(past)}`)));
  if (day === "*" && weekday === "*") return `every day at ${times}`;
  if (day === "*" && weekdays(weekday)) return `on ${weekdays(weekday)} at ${times}`;
  return weekday === "*" && /^\d+$/.test(day) ? `on day ${day} of each month at ${times}` : null;
}

function weekdays(text) {
  if (/^(1-5|MON-FRI)$/i.test(text)) return "weekdays";
  const names = text.toUpperCase().split(",").map((name) => DAYS[name]);
  return names.every(Boolean) ? listed(names) : null;
}
