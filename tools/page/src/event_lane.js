// What gave memory back, and what told the kernel how memory is used, over time: glyphs at the top of
// the timeline, and a table.
import { css } from "./colors.js";
import { figure, h, scrollable } from "./dom.js";
import { bytes, count, duration } from "./format.js";
import { frameLabel, shownFrames } from "./json_frames.js";
import { clip } from "./safe_text.js";

const WORTH = 0.01; // of the largest RSS: smaller releases are in the table alone
const REACH = 6; // pixels
const LINES = 6;

const isAdvice = (call) => call.startsWith("MADV_") || call === "madvise";

export class EventLane {
  constructor(page) {
    this.model = page.model;
    const columns = page.model.raw.events ?? { first_ns: [] };
    const most = Math.max(1, ...page.model.raw.timeline.rss);
    this.all = columns.first_ns.map((first, i) => ({
      first,
      last: columns.last_ns[i],
      call: columns.call[i],
      calls: columns.calls[i],
      bytes: columns.bytes[i],
      inRam: columns.in_ram[i],
      taken: columns.taken[i],
      estimate: !!columns.estimate[i],
      advice: columns.advice[i],
    }));
    this.drawn = this.all.filter((event) => isAdvice(event.call) || event.inRam >= most * WORTH);
  }

  // A release of malloc's may stay with malloc: what was in RAM before is all that is known.
  gaveBack({ taken, inRam }) {
    return (taken ?? inRam) > 0;
  }

  say(event) {
    const { call, calls, inRam, taken, estimate } = event;
    const about = estimate ? "about " : "";
    const what = taken === null ? `${about}${bytes(inRam)} was in RAM` : taken > 0 || inRam > 0 ? `${about}${bytes(taken)} given back` : bytes(event.bytes);
    return `${duration(event.first)}: ${clip(call, 40)}, ${count(calls)} ${calls === 1 ? "call" : "calls"}, ${what}${this.by(event)}`;
  }

  // Of advice: who gave the largest.
  by({ advice, calls }) {
    const [named] = shownFrames(this.model.raw.advice?.[advice]?.frames ?? [], this.model.raw.advice_shown?.[advice]);
    return named ? `, ${calls === 1 ? "" : "the largest "}by ${frameLabel(named)}` : "";
  }

  draw(plot, context, scale) {
    const { left, top, width } = plot.bbox;
    context.save();
    for (const event of this.drawn) {
      const x = plot.valToPos(event.first / 1e9, "x", true);
      if (x < left - 1 || x > left + width + 1) continue;
      const size = 4 * scale;
      const y = top + 12 * scale;
      context.beginPath();
      context.strokeStyle = css("--paper");
      context.lineWidth = scale;
      context.fillStyle = css(this.gaveBack(event) ? "--ink" : "--ink-2");
      if (this.gaveBack(event)) {
        context.moveTo(x - size, y - size);
        context.lineTo(x + size, y - size);
        context.lineTo(x, y + size);
      } else {
        context.moveTo(x, y - size);
        context.lineTo(x + size, y);
        context.lineTo(x, y + size);
        context.lineTo(x - size, y);
      }
      context.closePath();
      context.fill();
      context.stroke();
    }
    context.restore();
  }

  // What lies near that place of the plot, in lines; null: nothing.
  near(x, plot) {
    const found = this.drawn.filter((event) => Math.abs(plot.valToPos(event.first / 1e9, "x") - x) <= REACH);
    if (!found.length) return null;
    const lines = found.slice(0, LINES).map((event) => this.say(event));
    return found.length > LINES ? [...lines, `and ${count(found.length - LINES)} more`] : lines;
  }

  legend() {
    const entry = (glyph, text) => h("span", { class: "legend-entry" }, h("span", { class: "glyph", "aria-hidden": "true" }, glyph), text);
    const back = this.drawn.some((event) => this.gaveBack(event));
    const told = this.drawn.some((event) => !this.gaveBack(event));
    return [back ? entry("▼", "memory given back or freed") : null, told ? entry("◆", "other advice") : null].filter(Boolean);
  }

  asTable() {
    if (!this.all.length) return null;
    const body = h("tbody");
    const cell = (value, estimate) => h("td", { class: "num" }, figure(value, { estimate: estimate && value > 0 }));
    const fill = () => {
      if (body.childElementCount) return;
      for (const event of this.all)
        body.append(
          h("tr", {}, h("th", { scope: "row" }, duration(event.first)), h("td", {}, duration(event.last)), h("td", {}, clip(event.call, 60)), h("td", { class: "num" }, count(event.calls)), cell(event.bytes), cell(event.inRam, event.estimate), cell(event.taken, event.estimate), h("td", {}, this.by(event).replace(/^, /, ""))),
        );
    };
    return h(
      "details",
      { class: "as-table events", ontoggle: fill },
      h("summary", {}, `Advice and releases over time: ${count(this.all.length)}`),
      h("p", { class: "note" }, "Calls of one kind that are close together are one row. Of frees and unmappings, those with less than 1 % of the largest RSS stand here and not in the chart."),
      scrollable(
        "Advice and releases over time",
        h("table", {}, h("caption", { class: "visually-hidden" }, "Advice and releases over time"), h("thead", {}, h("tr", {}, ...["From", "To", "Call", "Calls", "Bytes", "In RAM before", "Left the process", "By"].map((title, i) => h("th", { scope: "col", class: i > 2 && i < 7 ? "num" : null }, title)))), body),
      ),
    );
  }
}
