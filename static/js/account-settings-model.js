/** Which settings of an account were changed, as the body of a PATCH. Pure. */

/**
 * @param saved what holds, @param values what the fields say: setting -> boolean, or the text of a number
 * @returns {object} only what differs; numbers as numbers, so 2 and "2.0" are the same
 */
export function changedSettings(saved, values) {
  const changed = {};
  for (const [name, value] of Object.entries(values)) {
    const [before, now] = typeof value === "boolean" ? [saved[name], value] : [Number(saved[name]), Number(value)];
    const said = typeof now === "boolean" || (value.trim() !== "" && Number.isFinite(now));
    if (said && before !== now) changed[name] = now;
  }
  return changed;
}
