/** Days and times in a time zone of the user's choice (an IANA name). Pure. */

import { NONE } from "./format.js";

const LOCAL = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d))?)?$/;
const DAY_MS = 86_400_000;
const formats = new Map(); // zone -> Intl.DateTimeFormat, which is slow to make

/** "2026-11-26 01:31:09", or with fraction "2026-11-26 01:31:09.123". */
export function dateTime(ms, zone, { fraction = false } = {}) {
  if (!Number.isFinite(ms)) return NONE;
  const { day, time } = partsOf(ms, zone);
  return `${day} ${time}${fraction ? `.${String(Math.floor(ms) % 1000).padStart(3, "0")}` : ""}`;
}

/** "2026-11-26" */
export function day(ms, zone) {
  return Number.isFinite(ms) ? partsOf(ms, zone).day : NONE;
}

/** "01:31" */
export function minute(ms, zone) {
  return Number.isFinite(ms) ? partsOf(ms, zone).time.slice(0, 5) : NONE;
}

/**
 * Milliseconds of a time as it is written in the zone ("2026-11-26T01:31", or a day alone: its beginning); null if it
 * is none. Of a time that comes twice, as clocks go back, it is the earlier; one that clocks jump over is moved ahead.
 */
export function parse(text, zone) {
  const match = LOCAL.exec(text);
  if (!match) return null;
  const [year, month, date, hour, min, second] = match.slice(1).map((part) => Number(part ?? 0));
  const written = Date.UTC(year, month - 1, date, hour, min, second);
  const read = new Date(written);
  if (read.getUTCMonth() !== month - 1 || read.getUTCDate() !== date || hour > 23 || min > 59) return null;
  const offsets = [offset(written - DAY_MS, zone), offset(written + DAY_MS, zone)];
  const fitting = offsets.map((by) => written - by).filter((ms) => ms + offset(ms, zone) === written);
  return fitting.length > 0 ? Math.min(...fitting) : written - offsets[0];
}

/** How far the zone's clocks are ahead of UTC at a moment, in ms. */
function offset(ms, zone) {
  const { day: date, time } = partsOf(ms, zone);
  return Date.parse(`${date}T${time}Z`) - Math.floor(ms / 1000) * 1000;
}

function partsOf(ms, zone) {
  const found = {};
  for (const { type, value } of formatOf(zone).formatToParts(ms)) found[type] = value;
  return {
    day: `${found.year.padStart(4, "0")}-${found.month}-${found.day}`,
    time: `${found.hour}:${found.minute}:${found.second}`,
  };
}

function formatOf(zone) {
  if (!formats.has(zone)) formats.set(zone, makeFormat(zone));
  return formats.get(zone);
}

function makeFormat(zone) {
  const two = "2-digit";
  const fields = { year: "numeric", month: two, day: two, hour: two, minute: two, second: two, hourCycle: "h23" };
  try {
    return new Intl.DateTimeFormat("en-GB", { ...fields, timeZone: zone });
  } catch {
    return new Intl.DateTimeFormat("en-GB", { ...fields, timeZone: "UTC" }); // a zone that this browser does not know
  }
}

/** Does this browser know the zone? Where it does not, times are shown in UTC. */
export function known(zone) {
  return formatOf(zone).resolvedOptions().timeZone === "UTC" ? /^(Etc\/)?(UTC|GMT|UCT|Zulu|Universal)$/.test(zone) : true;
}
