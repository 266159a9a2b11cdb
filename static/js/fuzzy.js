/** Fuzzy matching for the symbol palette: every letter in order, better side by side or at the start of words. Pure. */

const BOUNDARY = /[\s/:._-]/;

/** @returns {number|null} higher is better; null if `query` does not match */
export function score(query, text) {
  const needle = query.toLowerCase().replace(/[\s/:]+/g, "");
  const hay = text.toLowerCase();
  // Preferring beginnings of words can run past a letter that is needed later; the plain order then still matches.
  return walk(needle, hay, nextBest) ?? walk(needle, hay, next);
}

function walk(needle, hay, find) {
  if (needle === "") return 0;
  let points = 0;
  let at = -1;
  for (const letter of needle) {
    const found = find(hay, letter, at);
    if (found < 0) return null;
    if (found === at + 1) points += 5;
    if (found === 0 || BOUNDARY.test(hay[found - 1])) points += 3;
    points -= Math.min(3, found - at - 1) * 0.5;
    at = found;
  }
  return points - hay.length * 0.05;
}

function next(hay, letter, at) {
  return hay.indexOf(letter, at + 1);
}

/** The letter right after `at` if it is there, else its next occurrence that begins a word, else the next at all. */
function nextBest(hay, letter, at) {
  if (hay[at + 1] === letter) return at + 1;
  const first = next(hay, letter, at);
  for (let i = first; i >= 0; i = next(hay, letter, i)) if (i === 0 || BOUNDARY.test(hay[i - 1])) return i;
  return first;
}

/** Items that match, best first (ties in their given order), at most `limit`. */
export function filter(query, items, textOf, limit = 50) {
  const words = query.trim().split(/\s+/).filter(Boolean);
  const hits = [];
  items.forEach((item, order) => {
    let points = 0;
    for (const word of words) {
      const part = score(word, textOf(item));
      if (part === null) return;
      points += part;
    }
    hits.push({ item, points, order });
  });
  hits.sort((a, b) => b.points - a.points || a.order - b.order);
  return hits.slice(0, limit).map((hit) => hit.item);
}
