// The icicle: stacks as boxes. The width is what was reserved, the dark part what is in RAM.
import { h, once } from "./dom.js";
import { css, look, mixed, pattern } from "./colors.js";
import { bytes, ratio } from "./format.js";
import { ROW, depthOf, draw, layOut } from "./icicle_draw.js";
import { set, state } from "./state.js";
import { CallerTree, InvertedTree, ToucherTree, valuesAt } from "./trees.js";

const CHARTS = [
  ["callers", "By caller", "From main inward. Each box is a function; below it, what it called."],
  ["inverted", "By what reserved", "The call that reserved stands on top; below it, who called it."],
  ["touchers", "By who touched it", "Whose touches made the pages resident, by sampled page faults, at the report's own moment."],
];

export class Icicle {
  // page: what the views share (main.js).
  constructor(page) {
    this.page = page;
    this.canvas = h("canvas", {
      class: "icicle",
      tabindex: "0",
      role: "application",
      "aria-roledescription": "icicle chart",
      "aria-label": "Stacks by memory. Arrow keys move, Enter zooms in, Backspace zooms out. The table of call sites has the same figures.",
      onclick: (event) => this.click(event),
      onpointermove: (event) => this.hover(event),
      onpointerleave: () => page.tip.hide(),
      onkeydown: (event) => this.key(event),
      onblur: () => ((this.focused = null), this.paint()),
    });
    this.said = h("p", { class: "visually-hidden", "aria-live": "polite" });
    this.note = h("p", { class: "note" });
    this.trail = h("nav", { class: "trail", "aria-label": "Zoomed into" });
    this.tabs = h("div", { class: "segmented", role: "group", "aria-label": "Direction" });
    this.widths = h("div", { class: "segmented", role: "group", "aria-label": "Width of a box" });
    this.frame = h("div", { class: "icicle-frame" }, this.canvas);
    this.element = h("div", {}, h("div", { class: "chart-bar" }, this.tabs, this.widths, this.legend()), this.note, this.trail, this.frame, this.said);
    this.paint = once(() => this.paintNow());
    new ResizeObserver(this.paint).observe(this.frame);
  }

  legend() {
    if (this.page.diff) return this.page.diff.legend();
    const entry = (key, text) => h("span", { class: "legend-entry" }, h("span", { class: `key key-${key}` }), text);
    return h("span", { class: "legend" }, entry("mid", "in RAM"), entry("pale", "reserved only"));
  }

  charts() {
    return CHARTS.filter(([name]) => name !== "touchers" || (!this.page.diff && this.page.model.raw.committers));
  }

  chart() {
    return this.charts().some(([name]) => name === state.chart) ? state.chart : "callers";
  }

  // What a box is as wide as.
  metric() {
    if (state.width === "committed" || state.width === "reserved") return state.width;
    return this.page.diff ? "committed" : "reserved";
  }

  makeTree() {
    const { page } = this;
    const classIndex = page.model.classIndex(state.class);
    if (this.chart() === "touchers") return new ToucherTree(page.model, classIndex);
    const Tree = this.chart() === "inverted" ? InvertedTree : CallerTree;
    if (page.diff) return new Tree(page.diff.merged, page.diff.values(this.metric()), page.diff.merged.classIndex(state.class));
    return new Tree(page.model, valuesAt(page.model, state.at, this.metric()), classIndex);
  }

  update(changed) {
    const relevant = ["at", "before", "class", "zoom", "chart", "width", "q", "site"];
    if (changed && !relevant.some((key) => changed.has(key))) return;
    if (!changed || ["at", "before", "class", "chart", "width"].some((key) => changed.has(key))) this.tree = this.makeTree();
    this.top = this.tree.find(state.zoom);
    this.focused = null;
    this.drawControls();
    this.paint();
  }

  drawControls() {
    const chart = this.chart();
    this.tabs.replaceChildren(
      ...this.charts().map(([name, title]) =>
        h("button", { type: "button", "aria-pressed": String(name === chart), onclick: () => set({ chart: name, zoom: "" }) }, title),
      ),
    );
    const touch = chart === "touchers";
    this.widths.hidden = touch;
    const width = this.metric();
    this.widths.replaceChildren(
      ...[
        ["reserved", "Width: reserved"],
        ["committed", "Width: in RAM"],
      ].map(([name, title]) => h("button", { type: "button", "aria-pressed": String(name === width), onclick: () => set({ width: name }) }, title)),
    );
    this.note.textContent = CHARTS.find(([name]) => name === chart)[2];
    this.drawTrail();
  }

  drawTrail() {
    const places = [];
    for (let at = this.top; at !== null && at !== undefined; at = this.tree.parent(at)) places.unshift(at);
    this.trail.hidden = places.length < 2;
    this.trail.replaceChildren(
      ...places.flatMap((place, i) => {
        const last = i === places.length - 1;
        const text = this.tree.label(place, 60);
        const part = last
          ? h("span", { "aria-current": "location" }, text)
          : h("button", { type: "button", class: "link", onclick: () => set({ zoom: this.tree.key(place) }) }, text);
        return i ? [h("span", { class: "sep", "aria-hidden": "true" }, "›"), part] : [part];
      }),
    );
  }

  looks() {
    if (this.page.diff) return this.page.diff.looks(this.tree);
    const cache = new Map();
    const of = (index) => {
      if (!cache.has(index)) cache.set(index, index >= 0 ? look(this.page.model.classes[index]) : mixed());
      return cache.get(index);
    };
    const hatched = new Map();
    return (box, context, y, width) => {
      const tones = of(this.tree.classOf(box.item));
      const part = Math.min(this.tree.fill(box.item) / this.tree.width(box.item), 1) || 0;
      if (!hatched.has(tones)) hatched.set(tones, pattern(context, tones.pale, 1, css("--hatch")));
      context.fillStyle = hatched.get(tones);
      context.fillRect(box.x, y, width, ROW - 1);
      context.fillStyle = tones.mid;
      context.fillRect(box.x, y, width * part, ROW - 1);
    };
  }

  paintNow() {
    if (!this.tree) return;
    const pixels = this.frame.clientWidth;
    if (!pixels) return;
    if (this.laidOut?.tree !== this.tree || this.laidOut.top !== this.top || this.laidOut.pixels !== pixels) {
      this.boxes = layOut(this.tree, this.top, pixels);
      this.laidOut = { tree: this.tree, top: this.top, pixels };
    }
    const height = Math.max(depthOf(this.boxes), 3) * ROW;
    const ratioOf = Math.min(devicePixelRatio || 1, 3);
    this.canvas.width = Math.round(pixels * ratioOf);
    this.canvas.height = Math.round(height * ratioOf);
    this.canvas.style.setProperty("height", `${height}px`);
    const context = this.canvas.getContext("2d");
    context.scale(ratioOf, ratioOf);
    context.clearRect(0, 0, pixels, height);
    if (!this.boxes.length || this.page.missingSites()) return this.nothing(context);
    const hits = this.page.matches();
    draw(context, this.boxes, {
      tree: this.tree,
      looks: this.looks(),
      ink: css("--ink"),
      faint: css("--line"),
      font: `12px ${css("--mono")}`,
      focused: this.focused,
      matches: hits && ((item) => hits.node(this.tree, item)),
    });
  }

  nothing(context) {
    context.fillStyle = css("--ink-2");
    context.font = `13px ${css("--sans")}`;
    context.fillText(this.page.missingSites() ? "This moment has no figures of call sites." : "Nothing of this is there at this moment.", 6, 30);
  }

  boxAt(event) {
    const bounds = this.canvas.getBoundingClientRect();
    const x = event.clientX - bounds.left;
    const depth = Math.floor((event.clientY - bounds.top) / ROW);
    return this.boxes?.find((box) => box.depth === depth && x >= box.x && x < box.x + box.width);
  }

  describe(box) {
    if (box.item === null) return [`${box.count} smaller ones`, `${bytes(box.bytes)} ${this.widthWord()} in all`];
    if (this.page.diff) return this.page.diff.describe(this.tree, box.item);
    const width = this.tree.width(box.item);
    const fill = this.tree.fill(box.item);
    const lines = [this.tree.label(box.item, 400)];
    const frame = this.tree.frame(box.item);
    if (frame >= 0) lines.push(this.page.model.frameWhere(frame));
    if (this.metric() === "committed" || this.chart() === "touchers") lines.push(`${bytes(fill)} in RAM, ${ratio(fill, this.tree.fill(this.tree.root))} of what is shown`);
    else lines.push(`${bytes(width)} reserved, ${bytes(fill)} in RAM (${ratio(fill, width)})`);
    return lines;
  }

  widthWord() {
    return this.metric() === "committed" ? "in RAM" : "reserved";
  }

  hover(event) {
    const box = this.boxAt(event);
    this.canvas.style.setProperty("cursor", box && box.item !== null ? "pointer" : "default");
    if (box) this.page.tip.show(event, this.describe(box));
    else this.page.tip.hide();
  }

  zoomTo(item) {
    // A click on what is already on top goes one out again.
    const up = this.tree.parent(item);
    set({ zoom: this.tree.key(item === this.top && up !== null ? up : item) });
  }

  click(event) {
    const box = this.boxAt(event);
    if (box?.item !== null && box?.item !== undefined) this.zoomTo(box.item);
  }

  key(event) {
    const moves = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const real = (this.boxes ?? []).filter((box) => box.item !== null);
    let at = real.find((box) => box.item === this.focused) ?? null;
    if (moves[event.key]) at = at ? step(real, at, ...moves[event.key]) : real.find((box) => box.depth === 0);
    else if (event.key === "Enter" && at) return event.preventDefault(), this.zoomTo(at.item);
    else if (event.key === "Backspace" || event.key === "Escape") {
      const up = this.tree.parent(this.top);
      if (up === null) return;
      event.preventDefault();
      event.stopPropagation();
      return set({ zoom: this.tree.key(up) });
    } else return;
    event.preventDefault();
    if (!at) return;
    this.focused = at.item;
    this.said.textContent = this.describe(at).join(". ");
    this.paint();
  }
}

// The box beside `from`: down to its widest child, up to its caller, along its row.
function step(boxes, from, down, right) {
  const row = boxes.filter((box) => box.depth === from.depth + down).sort((a, b) => a.x - b.x);
  if (right) return row[row.indexOf(from) + right] ?? from;
  if (down < 0) return row.find((box) => box.x <= from.x + 0.01 && box.x + box.width > from.x) ?? from;
  const inside = row.filter((box) => box.x >= from.x - 0.01 && box.x < from.x + from.width);
  return inside.sort((a, b) => b.width - a.width)[0] ?? from;
}
