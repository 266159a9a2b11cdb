/** lightweight-charts for the equity curve. Money becomes floats here, for pixels and axis labels alone. */

import {
  AreaSeries,
  ColorType,
  CrosshairMode,
  HistogramSeries,
  TickMarkType,
  createChart,
  createSeriesMarkers,
} from "../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import * as decimal from "./decimal.js";
import * as format from "./format.js";
import * as zones from "./zone-time.js";

const CLEAR = "rgba(0, 0, 0, 0)";
const NAMED_MARKS = 8; // more of them carry no text
const DOTS = 40; // fewer points are drawn as dots too

export class EquityView {
  #chart;
  #line;
  #strip;
  #marks;
  #theme;
  #zone = "UTC";
  #intraday = true;
  #shown = { curve: [], marks: [] };

  constructor(element, theme) {
    this.#theme = theme;
    this.#chart = createChart(element, {
      autoSize: true,
      layout: { attributionLogo: false, fontSize: 11, fontFamily: getComputedStyle(document.body).fontFamily },
      crosshair: { mode: CrosshairMode.Magnet },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.18, bottom: 0.16 } },
      timeScale: {
        borderVisible: false,
        timeVisible: true,
        fixLeftEdge: true,
        fixRightEdge: true,
        tickMarkFormatter: (time, type) => this.#tick(time * 1000, type),
      },
      localization: { locale: "en-GB", timeFormatter: (time) => zones.dateTime(time * 1000, this.#zone).slice(0, 16) },
      handleScroll: { vertTouchDrag: false },
    });
    this.#line = this.#chart.addSeries(AreaSeries, { lineWidth: 2, priceLineVisible: false, lastValueVisible: false });
    // What is incomplete stands below the curve too: its colour is not the only sign.
    this.#strip = this.#chart.addSeries(HistogramSeries, {
      priceScaleId: "strip",
      priceLineVisible: false,
      lastValueVisible: false,
      base: 0,
      autoscaleInfoProvider: () => ({ priceRange: { minValue: 0, maxValue: 1 } }),
    });
    this.#chart.priceScale("strip").applyOptions({ scaleMargins: { top: 0.98, bottom: 0 } });
    this.#marks = createSeriesMarkers(this.#line, []);
    this.restyle();
  }

  /** Call `pointed` with the time under the crosshair in ms, or null. */
  onPoint(pointed) {
    this.#chart.subscribeCrosshairMove(({ time }) => pointed(time === undefined ? null : time * 1000));
  }

  /** @param format {places, zone, intraday} digits of the money, zone of the times, whether days are cut in pieces */
  show(curve, marks, { places, zone, intraday }, { fit = false } = {}) {
    this.#zone = zone;
    this.#intraday = intraday;
    this.#shown = { curve, marks };
    const formatter = (value) => format.fixed(decimal.parse(value.toFixed(Math.min(places, 20))));
    const real = curve.filter((point) => !point.made).length;
    this.#line.applyOptions({
      priceFormat: { type: "custom", minMove: 10 ** -places, formatter },
      pointMarkersVisible: real < DOTS,
    });
    this.#draw();
    if (fit) this.#chart.timeScale().fitContent();
  }

  clear() {
    this.#shown = { curve: [], marks: [] };
    this.#draw();
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
    this.#draw();
  }

  destroy() {
    this.#chart.remove();
  }

  #draw() {
    const { curve, marks } = this.#shown;
    const colour = (name) => this.#theme.colour(name);
    const styles = {
      line: { lineColor: colour("--accent"), topColor: `${colour("--accent")}38`, bottomColor: `${colour("--accent")}06` },
      doubtful: { lineColor: colour("--text-3"), topColor: CLEAR, bottomColor: CLEAR },
      none: { lineColor: CLEAR, topColor: CLEAR, bottomColor: CLEAR },
    };
    this.#line.setData(
      curve.map((point) => ({ time: point.at_ms / 1000, value: Number(point.value), ...styles[point.next] })),
    );
    this.#strip.setData(
      curve
        .filter((point) => !point.made && !point.complete)
        .map((point) => ({ time: point.at_ms / 1000, value: 1, color: `${colour("--warn")}a0` })),
    );
    const looks = {
      deposit: { position: "belowBar", shape: "arrowUp", color: colour("--buy") },
      withdrawal: { position: "aboveBar", shape: "arrowDown", color: colour("--sell") },
      several: { position: "aboveBar", shape: "circle", color: colour("--text-2") },
    };
    const named = marks.length <= NAMED_MARKS;
    this.#marks.setMarkers(
      marks.map((mark) => ({ time: mark.at_ms / 1000, ...looks[mark.kind], text: named ? mark.text : "" })),
    );
  }

  /** Labels of the time axis by the zone's clocks. The marks themselves stand at hours and days of UTC. */
  #tick(ms, type) {
    const day = zones.day(ms, this.#zone);
    if (type === TickMarkType.Year) return day.slice(0, 4);
    const short = new Date(`${day}T00:00Z`).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
    if (type !== TickMarkType.Time && type !== TickMarkType.TimeWithSeconds) {
      if (!this.#intraday || zones.minute(ms, this.#zone) === "00:00") return short;
    }
    return zones.minute(ms, this.#zone);
  }
}
