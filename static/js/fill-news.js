/** Which fills are news: those that came while the page was open, each once, whatever frames repeat. Pure. */

const MOST = 20;

export class FillNews {
  #newest = new Map(); // account -> number of the newest row that was told or was there

  /**
   * @param account its number  @param data of a `fills` frame
   * @returns {object[]} rows that are new, oldest first; after a long sleep only the newest of them
   */
  take(account, data) {
    const known = this.#newest.get(account);
    const last = data.last_row ?? 0;
    this.#newest.set(account, Math.max(known ?? 0, last));
    if (known === undefined) return [];
    return data.fills
      .filter((fill) => fill.row > known)
      .sort((a, b) => a.row - b.row)
      .slice(-MOST);
  }

  forget(account) {
    this.#newest.delete(account);
  }
}

/** One notification for all fills of a frame: [title, text]. */
export function newsText(fills, name) {
  const verb = (fill) => (fill.side === "buy" ? "Bought" : "Sold");
  const line = (fill) => `${verb(fill)} ${fill.size} ${fill.symbol.split(":")[0]} at ${fill.price}`;
  if (fills.length === 1) return [line(fills[0]), name];
  return [`${fills.length} fills`, `${name}\n${fills.map(line).slice(-4).join("\n")}`];
}

/**
 * The day's profit for the title: what the equity moved by, its `profit` null while that is not known.
 * @param status of the topic  @param data of the frame
 * @returns {?object} null where it is not current
 */
export function profitOf(data, status) {
  if (!status.usable || status.state !== "LIVE" || !data?.day) return null;
  return { profit: data.day.change, currency: data.currency, complete: Boolean(data.complete) };
}
