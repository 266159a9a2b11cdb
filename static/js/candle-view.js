/** lightweight-charts, wrapped: bars in, pictures out. Prices become floats here, for pixels and axis labels alone. */

import {
  CandlestickSeries,
  ColorType,
  CrosshairMode,
  HistogramSeries,
  createChart,
  createSeriesMarkers,
} from "../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import * as decimal from "./decimal.js";
import * as format from "./format.js";

const SHOWN = 120; // bars in view at first

export class CandleView {
  #chart;
  #candles;
  #volume;
  #marks;
  #shownMarks = []; // of fill-marks.js
  #theme;
  #newest = -Infinity;
  #tints = {}; // colours of volume columns, read once per theme

  constructor(element, theme) {
    this.#theme = theme;
    this.#chart = createChart(element, {
      autoSize: true,
      layout: { attributionLogo: false, fontSize: 11, fontFamily: getComputedStyle(document.body).fontFamily },
      crosshair: { mode: CrosshairMode.Normal },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.12, bottom: 0.22 } },
      timeScale: { borderVisible: false, timeVisible: true, secondsVisible: false, rightOffset: 4 },
      localization: { locale: "en-GB" },
    });
    this.#volume = this.#chart.addSeries(HistogramSeries, {
      priceScaleId: "volume",
      priceFormat: { type: "volume" },
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.#chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    this.#candles = this.#chart.addSeries(CandlestickSeries, { borderVisible: false });
    this.#marks = createSeriesMarkers(this.#candles, [], { autoScale: false, zOrder: "top" });
    this.restyle();
  }

  /** Own fills on the bars. @param marks of fill-marks.js, oldest first */
  mark(marks) {
    this.#shownMarks = marks;
    this.#marks.setMarkers(
      marks.map(({ openMs, side, price }) => ({
        time: openMs / 1000,
        position: side === "buy" ? "atPriceBottom" : "atPriceTop",
        shape: side === "buy" ? "arrowUp" : "arrowDown",
        color: this.#theme.colour(side === "buy" ? "--mark-buy" : "--mark-sell"),
        price: decimal.toNumber(price),
      })),
    );
  }

  /** Call `pointed` with the opening time of the bar under the crosshair, or null. */
  onPoint(pointed) {
    this.#chart.subscribeCrosshairMove(({ time }) => pointed(time === undefined ? null : time * 1000));
  }

  setPlaces(places) {
    const formatter = (price) => format.price(decimal.parse(price.toFixed(Math.min(places, 20))));
    this.#candles.applyOptions({ priceFormat: { type: "custom", minMove: 10 ** -places, formatter } });
  }

  clear() {
    this.mark([]);
    this.#candles.setData([]);
    this.#volume.setData([]);
    this.#newest = -Infinity;
  }

  /** Everything anew: for history only, never per tick. */
  show(data, { fit = false } = {}) {
    const series = data.series();
    this.#candles.setData(series.map(([time, bar]) => candle(time, bar)));
    this.#volume.setData(series.map(([time, bar]) => this.#column(time, bar)));
    this.#newest = series.at(-1)?.[0] ?? -Infinity;
    if (fit) this.#chart.timeScale().setVisibleLogicalRange({ from: series.length - SHOWN, to: series.length + 3 });
  }

  /** One bar: the last, a new one after it, or one before it. */
  update(bar) {
    const past = bar.open_ms < this.#newest;
    this.#candles.update(candle(bar.open_ms, bar), past);
    this.#volume.update(this.#column(bar.open_ms, bar), past);
    if (!past) this.#newest = bar.open_ms;
  }

  restyle() {
    const colour = (name) => this.#theme.colour(name);
    this.#chart.applyOptions({
      layout: { background: { type: ColorType.Solid, color: colour("--panel") }, textColor: colour("--text-3") },
      grid: { vertLines: { color: colour("--line") }, horzLines: { color: colour("--line") } },
      crosshair: {
        vertLine: { color: colour("--text-3"), labelBackgroundColor: colour("--line-2") },
        horzLine: { color: colour("--text-3"), labelBackgroundColor: colour("--line-2") },
      },
    });
    const [up, down] = [colour("--buy"), colour("--sell")];
    this.#candles.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down });
    const tint = (name) => `rgba(${colour(name).replaceAll(" ", ", ")}, 0.35)`;
    this.#tints = { rising: tint("--buy-rgb"), falling: tint("--sell-rgb") };
    this.mark(this.#shownMarks);
    // A column keeps the colour it was given, so these are drawn anew.
    this.#volume.setData(
      this.#volume
        .data()
        .map((point) => ("value" in point ? { ...point, color: this.#tint(point.customValues?.rising) } : point)),
    );
  }

  destroy() {
    this.#chart.remove();
  }

  #column(openMs, bar) {
    if (!bar) return { time: openMs / 1000 };
    const rising = Number(bar.close) >= Number(bar.open);
    return { time: openMs / 1000, value: Number(bar.base_volume), color: this.#tint(rising), customValues: { rising } };
  }

  #tint(rising) {
    return rising ? this.#tints.rising : this.#tints.falling;
  }
}

function candle(openMs, bar) {
  const time = openMs / 1000;
  if (!bar) return { time };
  return { time, open: Number(bar.open), high: Number(bar.high), low: Number(bar.low), close: Number(bar.close) };
}
