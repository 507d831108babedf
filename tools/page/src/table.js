// The table of call sites: sorted by any column, searched by a regular expression, rows added as one
// scrolls.
import { figure, h, scrollable } from "./dom.js";
import { count, ratio } from "./format.js";
import { clip } from "./safe_text.js";
import { compile } from "./search.js";
import { set, state } from "./state.js";
import { siteDetail } from "./site_detail.js";

const STEP = 50;

// key, title, explanation; get(site): its figure, source(): all sites' figures where they stand in an
// array; cell(site): how it is shown.
function singleColumns(page) {
  const { model } = page;
  const now = () => model.figures(state.at);
  const amount = (key, title, hint, source) => ({ key, title, hint, source, get: (i) => source()[i], cell: (i) => figure(source()[i], { estimate: model.sites.estimate[i] && source()[i] > 0 }) });
  return [
    amount("committed", "In RAM", "resident at this moment", () => now().committed),
    amount("reserved", "Reserved", "address space at this moment", () => now().reserved),
    {
      key: "ratio",
      title: "Ratio",
      hint: "how much of what is reserved is in RAM",
      get: (i) => (now().reserved[i] ? now().committed[i] / now().reserved[i] : -1),
      cell: (i) => ratio(now().committed[i], now().reserved[i]),
    },
    amount("never_touched", "Never touched", "reserved, and no page of it was ever there", () => now().never_touched),
    amount("swapped", "In swap", "in swap at this moment", () => now().swapped),
    amount("released", "Released", "given back, over the whole run", () => model.sites.released),
    { key: "count", title: "Calls", hint: "over the whole run", get: (i) => model.sites.count[i], cell: (i) => (model.sites.estimate[i] ? "~ " : "") + count(model.sites.count[i]) },
  ];
}

export class Table {
  constructor(page) {
    this.page = page;
    this.columns = page.diff ? page.diff.columns() : singleColumns(page);
    this.head = h("tr");
    this.body = h("tbody");
    this.status = h("p", { class: "note", role: "status" });
    this.more = h("button", { type: "button", onclick: () => this.addRows() }, "");
    this.table = h("table", { class: "sites" }, h("caption", { class: "visually-hidden" }, "Call sites"), h("thead", {}, this.head), this.body);
    this.frame = scrollable("Call sites", this.table, h("div", { class: "rows-left" }, this.more));
    this.frame.classList.add("sites-frame");
    this.element = h("div", {}, this.status, this.frame);
    new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.shown > 0 && this.addRows(), { root: this.frame, rootMargin: "400px" }).observe(this.more);
  }

  column() {
    const key = state.sort.replace(/^-/, "");
    return this.columns.find((column) => column.key === key) ?? (key === "call" ? { key: "call" } : this.columns[0]);
  }

  rising() {
    return (this.column().key === "call") !== state.sort.startsWith("-");
  }

  // Is row a before row b?
  comparison() {
    const column = this.column();
    const sign = this.rising() ? 1 : -1;
    if (column.key === "call") {
      const names = new Map();
      const name = (i) => names.get(i) ?? (names.set(i, this.page.siteLabel(i)), names.get(i));
      return (a, b) => sign * (name(a) < name(b) ? -1 : name(a) > name(b) ? 1 : 0) || a - b;
    }
    return (a, b) => sign * (column.get(a) - column.get(b)) || a - b;
  }

  // The first rows are sorted at once, the others when somebody wants to see them: of 100,000 that
  // takes longer than a person likes to wait for each letter of a search.
  sortFirst() {
    this.isSorted = false;
    const { rows } = this;
    const column = this.column();
    if (rows.length <= 2 * STEP || column.key === "call") return this.sortAll();
    const sign = this.rising() ? 1 : -1;
    const source = column.source?.();
    const values = new Float64Array(rows.length);
    for (let k = 0; k < rows.length; k++) values[k] = sign * (source ? source[rows[k]] : column.get(rows[k]));
    const bound = values.slice().sort()[STEP - 1];
    const first = rows.filter((_, k) => values[k] <= bound).sort(this.comparison());
    this.first = first.subarray(0, STEP);
  }

  sortAll() {
    if (this.isSorted) return;
    this.isSorted = true;
    this.rows.sort(this.comparison());
    this.first = this.rows;
  }

  update(changed) {
    const relevant = ["at", "before", "class", "zoom", "chart", "q", "sort"];
    const opens = changed?.has("site");
    if (changed && !opens && !relevant.some((key) => changed.has(key))) return;
    if (!changed || relevant.some((key) => changed.has(key))) {
      this.all ??= Uint32Array.from({ length: this.page.siteCount() }, (_, i) => i);
      this.rows = this.all.filter(this.page.filter());
      this.sortFirst();
      this.drawHead();
    }
    this.redraw(opens);
  }

  redraw(opens) {
    this.shown = 0;
    this.body.replaceChildren();
    const open = state.site;
    if (open !== null && !this.first.includes(open)) this.sortAll();
    const least = open !== null ? this.first.indexOf(open) + 1 : 0;
    do this.addRows();
    while (this.shown < least);
    this.say();
    if (opens && open !== null) this.body.querySelector("tr.open button")?.focus({ preventScroll: true });
  }

  say() {
    const all = this.page.siteCount();
    const missing = this.page.missingSites();
    const bad = state.q && !compile(state.q);
    this.status.textContent = missing
      ? "There are too many call sites to keep the figures of each moment: this one has none of them. Others have."
      : bad
      ? "This is not a regular expression: all call sites are shown."
      : this.rows.length === all
        ? `${count(all)} call sites. Figures with ~ are estimated from samples.`
        : `${count(this.rows.length)} of ${count(all)} call sites match. Figures with ~ are estimated from samples.`;
  }

  drawHead() {
    const chosen = this.column().key;
    const upward = state.sort.startsWith("-");
    const make = (key, title, hint, numeric) => {
      const active = key === chosen;
      const rising = key === "call" ? !upward : upward;
      return h(
        "th",
        { scope: "col", class: `${numeric ? "num" : "call-col"} col-${key}`, "aria-sort": active ? (rising ? "ascending" : "descending") : null },
        h(
          "button",
          { type: "button", class: "sort", title: hint, onclick: () => set({ sort: active && !upward ? `-${key}` : key }) },
          title,
          h("span", { class: "arrow", "aria-hidden": "true" }, active ? (rising ? "▲" : "▼") : ""),
        ),
      );
    };
    this.head.replaceChildren(...this.columns.map(({ key, title, hint }) => make(key, title, hint, true)), make("call", "Call site", "what reserved it, and who called that", false));
    this.table.classList.toggle("no-swap", !this.page.hasSwap());
  }

  addRows() {
    const to = Math.min(this.shown + STEP, this.rows.length);
    const rows = [];
    if (to > this.first.length) this.sortAll();
    for (; this.shown < to; this.shown++) rows.push(...this.row(this.first[this.shown]));
    this.body.append(...rows);
    const left = this.rows.length - this.shown;
    this.more.hidden = left === 0;
    this.more.textContent = `Show more: ${count(left)} are left`;
    if (!this.rows.length) this.body.replaceChildren(h("tr", {}, h("td", { colspan: String(this.columns.length + 1), class: "empty" }, this.page.siteCount() ? "No call site matches." : "No call site was recorded.")));
  }

  row(i) {
    const open = state.site === i;
    const toggle = () => set({ site: open ? null : i });
    const { page } = this;
    const row = h(
      "tr",
      { class: open ? "open" : null, "data-site": String(i), onclick: (event) => event.target.closest("button") || getSelection().toString() || toggle() },
      ...this.columns.map((column) => h("td", { class: `num col-${column.key}` }, column.cell(i))),
      h("td", { class: "call-col" }, this.call(i, open, toggle)),
    );
    return open ? [row, h("tr", { class: "detail" }, h("td", { colspan: String(this.columns.length + 1) }, siteDetail(page, i)))] : [row];
  }

  call(i, open, toggle) {
    const { kind, frames, model, index } = this.page.site(i);
    const shown = model.shown(model.sites, index);
    const callers = shown.slice(1).map((frame) => h("div", { class: "caller" }, "← ", model.frameLabel(frame)));
    return [
      h("button", { type: "button", class: "link call", "aria-expanded": String(open), onclick: toggle }, h("span", { class: "kind" }, clip(kind, 40)), " ", shown.length ? this.name(model, shown[0]) : "no stack"),
      ...callers,
      frames.length > shown.length ? h("div", { class: "caller quiet" }, `… ${frames.length - shown.length} more`) : null,
    ];
  }

  name(model, frame) {
    const { name, place } = model.describe(frame);
    return [h("span", { class: "fn" }, clip(name)), place ? [" ", h("span", { class: "place" }, clip(place))] : null];
  }
}
