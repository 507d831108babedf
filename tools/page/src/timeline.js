// RSS over time, its classes stacked, with marks. A click or a drag goes to the nearest moment that
// has figures of its own; all views follow.
import uPlot from "../vendor/uplot/uPlot.esm.js";
import { css, look, pattern, sides } from "./colors.js";
import { EventLane } from "./event_lane.js";
import { figure, h, once, scrollable, swatch } from "./dom.js";
import { bytes, duration } from "./format.js";
import { clip } from "./safe_text.js";
import { set, state } from "./state.js";

const HEIGHT = 260;
const BINARY = Array.from({ length: 62 }, (_, i) => 2 ** i);

// Running sums from the top class down: uPlot fills between one line and the next.
export function stack(committed) {
  const classes = committed[0]?.length ?? 0;
  const lines = Array.from({ length: classes + 1 }, () => new Array(committed.length));
  committed.forEach((row, t) => {
    let sum = 0;
    for (let c = classes; c >= 0; c--) {
      lines[c][t] = sum += c < classes ? (row[c] ?? 0) : 0;
    }
  });
  return lines;
}

export class Timeline {
  constructor(page) {
    this.page = page;
    this.host = h("div", { class: "timeline", "aria-hidden": "true" });
    this.legend = h("div", { class: "legend legend-row" });
    this.events = page.diff ? null : new EventLane(page);
    this.element = h("div", {}, this.legend, this.host, this.asTable(), this.events?.asTable());
    this.rebuild = once(() => this.build());
    new ResizeObserver(() => this.plot && this.plot.setSize({ width: this.host.clientWidth || 600, height: HEIGHT })).observe(this.host);
  }

  asTable() {
    const { model } = this.page;
    const { time_ns: times, committed } = model.raw.class_line;
    const step = Math.max(1, Math.ceil(times.length / 100));
    const body = h("tbody");
    const fill = () => {
      if (body.childElementCount) return;
      for (let t = 0; t < times.length; t += step)
        body.append(h("tr", {}, h("th", { scope: "row" }, duration(times[t])), ...committed[t].map((value) => h("td", { class: "num" }, figure(value)))));
    };
    return h(
      "details",
      { class: "as-table", ontoggle: fill },
      h("summary", {}, "This chart as a table"),
      scrollable(
        "RSS over time, by class",
        h("table", {}, h("caption", { class: "visually-hidden" }, "In RAM over time, by class"), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Time"), ...model.classes.map((name) => h("th", { scope: "col", class: "num" }, clip(name))))), body),
      ),
    );
  }

  update(changed) {
    if (!changed || changed.has("class") || changed.has("theme")) this.rebuild();
    else if (changed.has("at") || changed.has("before")) this.plot?.redraw(false);
  }

  build() {
    this.plot?.destroy();
    this.drawLegend();
    const width = this.host.clientWidth || 600;
    const { series, bands, data } = this.page.diff ? this.compared() : this.stacked();
    this.plot = new uPlot(
      {
        width,
        height: HEIGHT,
        padding: [26, 24, 0, 0],
        legend: { show: false },
        cursor: { drag: { x: false, y: false }, points: { show: false }, y: false },
        scales: { x: { time: false, range: () => [0, this.latest() / 1e9] }, y: { range: (_, low, high) => [0, this.highest(high)] } },
        axes: [
          { ...axis(), values: (_, ticks) => ticks.map((tick) => (tick > 0 ? duration(Math.round(tick * 1e9)) : "0")), space: 90, size: 28, grid: { show: false } },
          { ...axis(), values: (_, ticks) => ticks.map((tick) => (tick ? bytes(tick) : "0")), incrs: BINARY, size: 76, space: 40 },
        ],
        series,
        bands,
        hooks: { draw: [(plot) => this.drawMarks(plot)], ready: [(plot) => this.listen(plot)] },
      },
      data,
      this.host,
    );
  }

  // From the start to the end of the process, so that marks at its end are there.
  latest() {
    const models = this.page.diff ? this.page.diff.models : [this.page.model];
    return Math.max(1, ...models.map(({ raw }) => Math.max(raw.process.duration_ns ?? 0, raw.timeline.time_ns.at(-1) ?? 0, raw.class_line.time_ns.at(-1) ?? 0)));
  }

  // The limit belongs to the picture where it is near.
  highest(high) {
    const limit = this.page.model.raw.limit_bytes;
    return Math.max(high ?? 0, limit && limit < (high ?? 0) * 2 ? limit : 0, 4096) * 1.06;
  }

  // The classes' sums at snapshots, and the line of RSS, which was read more often.
  stacked() {
    const { model } = this.page;
    const rss = model.raw.timeline;
    const { times, committed } = upTo(model.raw.class_line, rss.time_ns.at(-1));
    const pen = document.createElement("canvas").getContext("2d");
    const series = [{}];
    const bands = [];
    model.classes.forEach((name, i) => {
      const tones = look(name);
      const faded = state.class && state.class !== name;
      series.push({ stroke: tones.solid, width: 0.5, alpha: faded ? 0.15 : 1, spanGaps: true, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } });
      bands.push({ series: [i + 1, i + 2], fill: faded ? css("--line") : pattern(pen, tones.solid, tones.hatch) });
    });
    series.push({ width: 0, spanGaps: true, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } });
    series.push({ stroke: css("--ink"), width: 1.5, spanGaps: true, points: { show: rss.time_ns.length < 8, size: 5, fill: css("--ink") } });
    const data = uPlot.join([
      [times.map((t) => t / 1e9), ...stack(committed)],
      [rss.time_ns.map((t) => t / 1e9), rss.rss],
    ]);
    return { series, bands, data };
  }

  compared() {
    const tones = sides();
    const [a, b] = this.page.diff.models.map((model) => model.raw.timeline);
    const data = uPlot.join([
      [a.time_ns.map((t) => t / 1e9), a.rss],
      [b.time_ns.map((t) => t / 1e9), b.rss],
    ]);
    const line = (stroke, dash) => ({ stroke, width: 2, dash, spanGaps: true, points: { show: false } });
    return { series: [{}, line(tones.before, [6, 4]), line(tones.after)], bands: [], data };
  }

  drawLegend() {
    const { page } = this;
    if (page.diff) {
      const tones = sides();
      this.legend.replaceChildren(
        h("span", {}, h("span", { class: "key", style: { background: tones.before } }), "before (dashed)"),
        h("span", {}, h("span", { class: "key", style: { background: tones.after } }), "after"),
      );
      return;
    }
    const most = page.model.classes.map((_, i) => page.model.raw.class_line.committed.reduce((high, row) => Math.max(high, row[i] ?? 0), 0));
    const total = Math.max(...most, 1);
    const named = page.model.classes.filter((_, i) => most[i] * 50 > total);
    this.legend.replaceChildren(
      h("span", { class: "legend-entry" }, h("span", { class: "key key-line" }), "RSS"),
      ...(this.events?.legend() ?? []),
      ...named.map((name) => h("button", { type: "button", class: "legend-item", "aria-pressed": String(state.class === name), onclick: () => set({ class: state.class === name ? "" : name }) }, swatch(look(name)), clip(name))),
    );
  }

  drawMarks(plot) {
    const context = plot.ctx;
    const scale = devicePixelRatio || 1;
    const { left, top, width, height } = plot.bbox;
    context.save();
    context.font = `${11 * scale}px ${css("--sans")}`;
    this.drawLimit(plot, context, scale);
    this.drawTicks(plot, context, scale);
    this.events?.draw(plot, context, scale);
    let free = -Infinity;
    const marks = this.marks().sort((a, b) => a.time_ns - b.time_ns);
    for (const mark of marks) {
      const x = plot.valToPos(mark.time_ns / 1e9, "x", true);
      if (x < left - 1 || x > left + width + 1) continue;
      const color = css(mark.kind === "oom" || mark.kind === "kill" || mark.kind === "limit" ? "--bad" : "--ink-2");
      line(context, x, top, x, top + height, color, scale, [3 * scale, 3 * scale]);
      const text = clip(mark.text, 28);
      const wide = context.measureText(text).width;
      const from = Math.min(Math.max(x - wide / 2, left), left + width - wide);
      if (from < free + 6 * scale) continue;
      context.fillStyle = color;
      context.textBaseline = "bottom";
      context.textAlign = "left";
      context.fillText(text, from, top - 4 * scale);
      free = from + wide;
    }
    this.drawChosen(plot, context, scale);
    context.restore();
  }

  marks() {
    if (!this.page.diff) return [...this.page.model.raw.marks];
    return this.page.diff.models.flatMap((model, i) => model.raw.marks.filter((mark) => mark.kind === "peak").map((mark) => ({ ...mark, text: i ? "peak after" : "peak before" })));
  }

  drawLimit(plot, context, scale) {
    const limit = this.page.model.raw.limit_bytes;
    if (!limit || limit > plot.scales.y.max) return;
    const y = plot.valToPos(limit, "y", true);
    const { left, width } = plot.bbox;
    line(context, left, y, left + width, y, css("--bad"), 1.5 * scale, [6 * scale, 3 * scale]);
    context.fillStyle = css("--bad");
    context.textAlign = "left";
    context.textBaseline = "bottom";
    context.fillText(`limit ${bytes(limit)}`, left + 4 * scale, y - 3 * scale);
  }

  // Where a click can go.
  drawTicks(plot, context, scale) {
    const { top, height } = plot.bbox;
    context.fillStyle = css("--ink-2");
    for (const snapshot of this.page.model.snapshots) {
      const x = plot.valToPos(snapshot.time_ns / 1e9, "x", true);
      context.fillRect(x - scale / 2, top + height - 6 * scale, scale, 6 * scale);
    }
  }

  drawChosen(plot, context, scale) {
    const { top, height } = plot.bbox;
    const draw = (model, at, color) => {
      const x = plot.valToPos(model.snapshots[model.snapshotAt(at)].time_ns / 1e9, "x", true);
      line(context, x, top, x, top + height, color, 2 * scale);
      context.fillStyle = color;
      context.beginPath();
      context.moveTo(x - 6 * scale, top);
      context.lineTo(x + 6 * scale, top);
      context.lineTo(x, top + 8 * scale);
      context.fill();
    };
    if (this.page.diff) {
      const [a, b] = this.page.diff.models;
      draw(a, state.before, sides().before);
      draw(b, state.at, sides().after);
    } else draw(this.page.model, state.at, css("--ink"));
  }

  listen(plot) {
    const { over } = plot;
    let pressed = false;
    const go = (event, replace) => {
      const at = plot.posToVal(event.clientX - over.getBoundingClientRect().left, "x") * 1e9;
      const index = this.page.model.nearest(at);
      if (index !== this.page.model.snapshotAt(state.at)) set({ at: index }, { replace });
    };
    over.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      pressed = true;
      over.setPointerCapture(event.pointerId);
      go(event, false);
    });
    over.addEventListener("pointermove", (event) => {
      if (pressed) go(event, true);
      this.tell(event, plot);
    });
    for (const end of ["pointerup", "pointercancel"]) over.addEventListener(end, () => (pressed = false));
    over.addEventListener("pointerleave", () => this.page.tip.hide());
  }

  tell(event, plot) {
    const near = this.events?.near(event.clientX - plot.over.getBoundingClientRect().left, plot);
    if (near) return this.page.tip.show(event, near);
    const index = plot.cursor.idx;
    if (index === null || index === undefined) return this.page.tip.hide();
    const time = plot.data[0][index] * 1e9;
    const at = `at ${duration(Math.round(time))}`;
    if (this.page.diff) {
      const sides = ["before", "after"].map((word, i) => (plot.data[i + 1][index] == null ? "" : `${word}: RSS ${bytes(plot.data[i + 1][index])}`));
      return this.page.tip.show(event, [at, ...sides]);
    }
    this.page.tip.show(event, [at, ...this.classesAt(time, plot.data.at(-1)[index])]);
  }

  // RSS where it was read at that time, and the largest classes where a snapshot was taken then.
  classesAt(time, rss) {
    const { time_ns: times, committed } = this.page.model.raw.class_line;
    const t = times.findIndex((taken) => Math.abs(taken - time) < 1000);
    const lines = rss == null ? [] : [`RSS ${bytes(rss)}`];
    if (t < 0) return lines;
    const largest = committed[t].map((value, i) => [value, this.page.model.classes[i]]).sort((a, b) => b[0] - a[0]);
    return [...lines, ...largest.slice(0, 5).map(([value, name]) => (value > 0 ? `${bytes(value)}  ${name}` : ""))];
  }

  paintNow() {
    this.build();
  }
}

// Behind the last snapshot classes keep their figures, as between two.
function upTo({ time_ns: times, committed }, last) {
  return times.length && last > times.at(-1) ? { times: [...times, last], committed: [...committed, committed.at(-1)] } : { times, committed };
}

function axis() {
  return { stroke: css("--ink-2"), font: `11px ${css("--sans")}`, grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), size: 4 } };
}

function line(context, x0, y0, x1, y1, color, width, dash = []) {
  context.strokeStyle = color;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
  context.setLineDash([]);
}
