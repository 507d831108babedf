// The address space at the chosen moment, mapping after mapping. A mapping's width grows with the
// logarithm of its size, or a heap would hide everything beside it.
import { css, look } from "./colors.js";
import { h, once, swatch } from "./dom.js";
import { bytes, count } from "./format.js";
import { set, state } from "./state.js";

const HEIGHT = 34;
const GAP = 6;
// malloc's live blocks lie among what it holds besides: a range of it is of both classes.
const MALLOC = "malloc: live blocks, and what it retains";
const MALLOC_RANGE = -2;
const OF_MALLOC = ["malloc live", "malloc retained"];

export class Strip {
  constructor(page) {
    this.page = page;
    this.canvas = h("canvas", {
      class: "strip",
      role: "img",
      "aria-label": "The address space: mappings by address, colored by class, dark where pages are in RAM. The table of classes has the sums.",
      onpointermove: (event) => this.hover(event),
      onpointerleave: () => page.tip.hide(),
      onclick: (event) => this.click(event),
    });
    this.frame = h("div", { class: "strip-frame" }, this.canvas);
    this.note = h("p", { class: "note" });
    this.legend = h("p", { class: "legend strip-legend" });
    this.element = h("div", {}, this.frame, this.legend, this.note);
    this.paint = once(() => this.paintNow());
    new ResizeObserver(this.paint).observe(this.frame);
  }

  update(changed) {
    if (changed && !["at", "class", "theme"].some((key) => changed.has(key))) return;
    this.paint();
  }

  // Mappings of this moment, else of the nearest earlier or later one that has them.
  source() {
    const { model } = this.page;
    const now = model.snapshotAt(state.at);
    const having = model.snapshots.map((snapshot, i) => (snapshot.map ? i : -1)).filter((i) => i >= 0);
    if (!having.length) return null;
    return having.reduce((best, i) => (Math.abs(i - now) < Math.abs(best - now) ? i : best));
  }

  className(map, i) {
    return map.class[i] === MALLOC_RANGE ? MALLOC : (this.page.model.classes[map.class[i]] ?? "");
  }

  isChosen(name) {
    return !state.class || state.class === name || (name === MALLOC && OF_MALLOC.includes(state.class));
  }

  paintNow() {
    const index = this.source();
    const { model } = this.page;
    if (index === null) return;
    const { map } = model.snapshots[index];
    const pixels = this.frame.clientWidth;
    if (!pixels) return;
    this.boxes = this.layOut(map, pixels);
    const rows = (this.boxes.at(-1)?.row ?? 0) + 1;
    const height = rows * (HEIGHT + GAP);
    const scale = Math.min(devicePixelRatio || 1, 3);
    this.canvas.width = Math.round(pixels * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.style.setProperty("height", `${height}px`);
    const context = this.canvas.getContext("2d");
    context.scale(scale, scale);
    const line = css("--line");
    for (const box of this.boxes) this.drawBox(context, box, map, line);
    const names = [...new Set(map.class.map((_, i) => this.className(map, i)))].filter(Boolean);
    this.legend.replaceChildren(...names.map((name) => h("span", { class: "legend-entry" }, swatch(look(name)), name)));
    this.note.textContent = `${map.start.length} ranges, each of one class, by address. The width grows with the logarithm of the size.${map.left_out_ranges ? ` ${count(map.left_out_ranges)} small ones, ${bytes(map.left_out_bytes)}, are left out.` : ""}${index === model.snapshotAt(state.at) ? "" : " They are those of the nearest moment for which the page has them."}`;
  }

  layOut(map, pixels) {
    const widths = map.bytes.map((size) => 2 + 3 * Math.log2(1 + size / 4096));
    const boxes = [];
    let x = 0;
    let row = 0;
    let first = 0;
    map.start.forEach((start, i) => {
      let width = Math.min(widths[i], pixels);
      if (x + width > pixels && x > 0) {
        row++;
        x = 0;
      }
      boxes.push({ i, x, row, width, first, start });
      x += width + 1;
      first += map.cells[i];
    });
    return boxes;
  }

  drawBox(context, box, map, line) {
    const name = this.className(map, box.i);
    const tones = look(name);
    const y = box.row * (HEIGHT + GAP);
    context.globalAlpha = this.isChosen(name) ? 1 : 0.2;
    context.fillStyle = tones.pale;
    context.fillRect(box.x, y, box.width, HEIGHT);
    const cells = map.cells[box.i];
    const wide = box.width / Math.max(cells, 1);
    context.fillStyle = tones.solid;
    for (let c = 0; c < cells; c++) {
      const part = map.fill[box.first + c] / 255;
      if (part > 0) context.fillRect(box.x + c * wide, y + HEIGHT * (1 - part), Math.max(wide, 0.5), HEIGHT * part);
    }
    context.strokeStyle = line;
    context.strokeRect(box.x + 0.5, y + 0.5, box.width - 1, HEIGHT - 1);
    context.globalAlpha = 1;
  }

  boxAt(event) {
    const bounds = this.canvas.getBoundingClientRect();
    const row = Math.floor((event.clientY - bounds.top) / (HEIGHT + GAP));
    const x = event.clientX - bounds.left;
    return this.boxes?.find((box) => box.row === row && x >= box.x && x <= box.x + box.width);
  }

  hover(event) {
    const box = this.boxAt(event);
    if (!box) return this.page.tip.hide();
    const { model } = this.page;
    const { map } = model.snapshots[this.source()];
    const fills = map.fill.slice(box.first, box.first + map.cells[box.i]);
    const part = fills.reduce((a, b) => a + b, 0) / (255 * Math.max(fills.length, 1));
    this.page.tip.show(event, [`from ${box.start}, ${bytes(map.bytes[box.i])}`, this.className(map, box.i) || "no class", `about ${Math.round(100 * part)} % in RAM`]);
  }

  click(event) {
    const box = this.boxAt(event);
    if (!box) return;
    const { model } = this.page;
    const name = this.className(model.snapshots[this.source()].map, box.i);
    const wanted = name === MALLOC ? OF_MALLOC.find((one) => model.classIndex(one) >= 0) : name;
    if (wanted) set({ class: state.class && this.isChosen(name) ? "" : wanted, zoom: "" });
  }
}
