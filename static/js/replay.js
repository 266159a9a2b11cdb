/** A recording that is played instead of the exchange: what the page says of it. */

import * as format from "./format.js";

/** Words for `replay` of the streams frame (docs/protocol.md 2.5); before it has come, only that it is one. */
export function replayText(replay) {
  if (!replay) return "REPLAY";
  const day = replay.at_ms ? `${format.dateTime(replay.at_ms)} UTC` : (replay.recorded ?? "");
  const at = `${Math.floor(replay.at_s)} of ${Math.floor(replay.length_s)}\u2009s`;
  const word = replay.state === "ended" ? "REPLAY ENDED" : "REPLAY";
  return [`${word} ${day}`.trim(), at, pace(replay.speed)].filter(Boolean).join(" · ");
}

export function replayTitle(replay) {
  const file = replay ? ` ${replay.file}` : "";
  return `The recording${file} is played: nothing here is live, and no exchange is reached`;
}

function pace(speed) {
  if (speed === 1) return "";
  return speed === 0 ? "as fast as possible" : `×${speed}`;
}
