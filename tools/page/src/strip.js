// The address space at the chosen moment, mapping after mapping. A mapping's width grows with the
// logarithm of its size, or a heap would hide everything beside it.
import { css, look } from "./colors.js";
import { figure, h, once, scrollable, swatch } from "./dom.js";
import { bytes, count } from "./format.js";
import { set, state } from "./state.js";

const HEIGHT = 34;
const GAP = 6;
const SCALE = [4096, 2 ** 20, 2 ** 30];
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
      "aria-label": "The address space: mappings by address, colored by class, dark where pages are in RAM. The table below has the same.",
      onpointermove: (event) => this.hover(event),
      onpointerleave: () => page.tip.hide(),
      onclick: (event) => this.click(event),
    });
    this.frame = h("div", { class: "strip-frame" }, this.canvas);
    this.note = h("p", { class: "note" });
    this.legend = h("p", { class: "legend strip-legend" });
    this.rows = h("tbody");
    this.table = this.asTable();
    this.element = h("div", {}, this.frame, this.legend, this.note, this.table);
    this.paint = once(() => this.paintNow());
    new ResizeObserver(this.paint).observe(this.frame);
  }

  update(changed) {
    if (changed && !["at", "class", "zoom", "chart", "q", "site", "theme"].some((key) => changed.has(key))) return;
    this.paint();
    if (this.table.open) this.fillTable();
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

  isOfClass(name) {
    return !state.class || state.class === name || (name === MALLOC && OF_MALLOC.includes(state.class));
  }

  // Which ranges are bright. Blocks of malloc lie in its ranges, whose owner is malloc's own call.
  chosen(map) {
    const filter = this.page.filter();
    const narrowed = state.q || state.zoom || state.site !== null;
    return (i) => {
      if (!this.isOfClass(this.className(map, i))) return false;
      const site = map.site[i];
      if (state.site !== null) return site === state.site;
      return site >= 0 ? filter(site) || map.class[i] === MALLOC_RANGE : !narrowed;
    };
  }

  owner(map, i) {
    return map.site[i] >= 0 ? this.page.model.siteLabel(map.site[i]) : "";
  }

  inRam(map, i, first) {
    const fills = map.fill.slice(first, first + map.cells[i]);
    return fills.reduce((a, b) => a + b, 0) / (255 * Math.max(fills.length, 1));
  }

  // For who can't see the strip, or wants the addresses.
  asTable() {
    const titles = ["From", "Size", "In RAM, about", "Class", "Reserved by"];
    return h(
      "details",
      { class: "as-table", ontoggle: (event) => event.target.open && this.fillTable() },
      h("summary", {}, "The address space as a table"),
      scrollable("The address space", h("table", {}, h("caption", { class: "visually-hidden" }, "The address space"), h("thead", {}, h("tr", {}, ...titles.map((title, i) => h("th", { scope: "col", class: i === 1 || i === 2 ? "num" : null }, title)))), this.rows)),
    );
  }

  fillTable() {
    const index = this.source();
    if (index === null) return;
    const { map } = this.page.model.snapshots[index];
    const isChosen = this.chosen(map);
    let first = 0;
    const rows = [];
    map.start.forEach((start, i) => {
      const part = this.inRam(map, i, first);
      first += map.cells[i];
      if (!isChosen(i)) return;
      const site = map.site[i];
      const owner = site >= 0 ? h("button", { type: "button", class: "link", onclick: () => this.open(site) }, this.owner(map, i)) : "";
      rows.push(h("tr", {}, h("th", { scope: "row" }, h("code", {}, start)), h("td", { class: "num" }, figure(map.bytes[i])), h("td", { class: "num" }, `${Math.round(100 * part)} %`), h("td", {}, this.className(map, i)), h("td", {}, owner)));
    });
    this.rows.replaceChildren(...rows);
  }

  open(site) {
    set({ site: state.site === site ? null : site });
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
    const isChosen = this.chosen(map);
    for (const box of this.boxes) this.drawBox(context, box, map, line, isChosen(box.i));
    const names = [...new Set(map.class.map((_, i) => this.className(map, i)))].filter(Boolean);
    this.legend.replaceChildren(...names.map((name) => h("span", { class: "legend-entry" }, swatch(look(name)), name)), h("span", { class: "legend-entry strip-scale" }, ...SCALE.map((size) => h("span", { class: "legend-entry" }, h("span", { class: "key", style: { width: `${widthOf(size)}px` } }), bytes(size)))));
    this.note.textContent = `${count(map.start.length)} ranges by address, each of one class and reserved by one call site. A click on a range opens its call site below. The width grows with the logarithm of the size.${map.left_out_ranges ? ` ${count(map.left_out_ranges)} small ones, ${bytes(map.left_out_bytes)}, are left out.` : ""}${index === model.snapshotAt(state.at) ? "" : " They are those of the nearest moment for which the page has them."}`;
  }

  layOut(map, pixels) {
    const widths = map.bytes.map(widthOf);
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

  drawBox(context, box, map, line, isChosen) {
    const tones = look(this.className(map, box.i));
    const y = box.row * (HEIGHT + GAP);
    context.fillStyle = tones.pale;
    context.fillRect(box.x, y, box.width, HEIGHT);
    const cells = map.cells[box.i];
    const wide = box.width / Math.max(cells, 1);
    context.fillStyle = tones.solid;
    for (let c = 0; c < cells; c++) {
      const part = map.fill[box.first + c] / 255;
      if (part > 0) context.fillRect(box.x + c * wide, y + HEIGHT * (1 - part), Math.max(wide, 0.5), HEIGHT * part);
    }
    // Cells may lie over each other: what is not chosen is covered as a whole.
    if (!isChosen) {
      context.globalAlpha = 0.8;
      context.fillStyle = css("--paper");
      context.fillRect(box.x, y, box.width, HEIGHT);
      context.globalAlpha = 1;
    }
    context.strokeStyle = line;
    context.strokeRect(box.x + 0.5, y + 0.5, box.width - 1, HEIGHT - 1);
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
    const owner = this.owner(map, box.i);
    this.page.tip.show(event, [`from ${box.start}, ${bytes(map.bytes[box.i])}`, this.className(map, box.i) || "no class", owner ? `reserved by ${owner}` : "", `about ${Math.round(100 * this.inRam(map, box.i, box.first))} % in RAM`]);
  }

  click(event) {
    const box = this.boxAt(event);
    if (!box) return;
    const { model } = this.page;
    const { map } = model.snapshots[this.source()];
    if (map.site[box.i] >= 0) return this.open(map.site[box.i]);
    const name = this.className(map, box.i);
    const wanted = name === MALLOC ? OF_MALLOC.find((one) => model.classIndex(one) >= 0) : name;
    if (wanted) set({ class: state.class && this.isOfClass(name) ? "" : wanted, zoom: "" });
  }
}

function widthOf(size) {
  return 2 + 3 * Math.log2(1 + size / 4096);
}
