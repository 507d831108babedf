// The table of call sites: sorted by any column, searched by a regular expression, rows added as one
// scrolls.
import { figure, h, scrollable } from "./dom.js";
import { count, ratio } from "./format.js";
import { clip } from "./safe_text.js";
import { compile } from "./search.js";
import { set, state } from "./state.js";
import { siteDetail } from "./site_detail.js";

const STEP = 100;

// key, title, explanation, value(page, site), cell(page, site)
function singleColumns(page) {
  const { model } = page;
  const now = () => model.figures(state.at);
  const amount = (key, title, hint, get) => ({ key, title, hint, get, cell: (i) => figure(get(i), { estimate: model.sites.estimate[i] && get(i) > 0 }) });
  return [
    amount("committed", "In RAM", "resident at this moment", (i) => now().committed[i]),
    amount("reserved", "Reserved", "address space at this moment", (i) => now().reserved[i]),
    {
      key: "ratio",
      title: "Ratio",
      hint: "how much of what is reserved is in RAM",
      get: (i) => (now().reserved[i] ? now().committed[i] / now().reserved[i] : -1),
      cell: (i) => ratio(now().committed[i], now().reserved[i]),
    },
    amount("never_touched", "Never touched", "reserved, and no page of it was ever there", (i) => now().never_touched[i]),
    amount("swapped", "In swap", "in swap at this moment", (i) => now().swapped[i]),
    amount("released", "Released", "given back, over the whole run", (i) => model.sites.released[i]),
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
    this.orders = new Map();
    new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.shown > 0 && this.addRows(), { root: this.frame, rootMargin: "400px" }).observe(this.more);
  }

  column() {
    const key = state.sort.replace(/^-/, "");
    return this.columns.find((column) => column.key === key) ?? (key === "call" ? { key: "call" } : this.columns[0]);
  }

  // All sites by the chosen column. Kept until the moment changes.
  order() {
    const column = this.column();
    const upward = state.sort.startsWith("-") !== (column.key === "call");
    const key = `${column.key}${upward}|${state.at}|${state.before}`;
    if (this.orderKey === key) return this.ordered;
    const total = this.page.siteCount();
    const order = Uint32Array.from({ length: total }, (_, i) => i);
    if (column.key === "call") {
      const names = Array.from({ length: total }, (_, i) => this.page.siteLabel(i));
      order.sort((a, b) => (names[a] < names[b] ? -1 : names[a] > names[b] ? 1 : a - b));
    } else {
      const values = Float64Array.from({ length: total }, (_, i) => column.get(i));
      order.sort((a, b) => values[b] - values[a] || a - b);
    }
    if (upward !== (column.key === "call")) order.reverse();
    this.orderKey = key;
    return (this.ordered = order);
  }

  update(changed) {
    const relevant = ["at", "before", "class", "zoom", "chart", "q", "sort"];
    const opens = changed?.has("site");
    if (changed && !opens && !relevant.some((key) => changed.has(key))) return;
    if (!changed || relevant.some((key) => changed.has(key))) {
      const keep = this.page.filter();
      this.rows = this.order().filter(keep);
      this.drawHead();
    }
    this.redraw(opens);
  }

  redraw(opens) {
    this.shown = 0;
    this.body.replaceChildren();
    const open = state.site;
    const least = open !== null ? this.rows.indexOf(open) + 1 : 0;
    do this.addRows();
    while (this.shown < least);
    this.say();
    if (opens && open !== null) this.body.querySelector("tr.open button")?.focus({ preventScroll: true });
  }

  say() {
    const all = this.page.siteCount();
    const bad = state.q && !compile(state.q);
    this.status.textContent = bad
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
    for (; this.shown < to; this.shown++) rows.push(...this.row(this.rows[this.shown]));
    this.body.append(...rows);
    const left = this.rows.length - this.shown;
    this.more.hidden = left === 0;
    this.more.textContent = `Show more: ${count(left)} are left`;
    if (!this.rows.length) this.body.replaceChildren(h("tr", {}, h("td", { colspan: String(this.columns.length + 1), class: "empty" }, "No call site matches.")));
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
    const { kind, frames, model } = this.page.site(i);
    const callers = frames.slice(1, 4).map((frame) => h("div", { class: "caller" }, "← ", model.frameLabel(frame)));
    return [
      h("button", { type: "button", class: "link call", "aria-expanded": String(open), onclick: toggle }, h("span", { class: "kind" }, clip(kind, 40)), " ", frames.length ? this.name(model, frames[0]) : "no stack"),
      ...callers,
      frames.length > 4 ? h("div", { class: "caller quiet" }, `… ${frames.length - 4} more`) : null,
    ];
  }

  name(model, frame) {
    const { name, place } = model.describe(frame);
    return [h("span", { class: "fn" }, clip(name)), place ? [" ", h("span", { class: "place" }, clip(place))] : null];
  }
}
