// The table of processes: sorted by any column, searched by a regular expression.
import { figure, h, scrollable } from "./dom.js";
import { csvField } from "./export.js";
import { bytes, clock, count } from "./format.js";
import { clip } from "./safe_text.js";
import { compile } from "./search.js";

const STEP = 50;

const at = (key) => (row) => row.at?.[key] ?? null;
const AMOUNTS = [
  ["rss", "RSS", "in RAM; shared pages once for each process", at("rss_bytes")],
  ["private", "Private", "in no other mapping", at("private_bytes")],
  ["shared", "Shared", "in other mappings too, of this process or another", at("shared_bytes")],
  ["proportional", "Pss", "shared pages divided by how many map them", at("proportional_bytes")],
  ["peak", "Peak", "the highest RSS that was read", (row) => row.peak_rss_bytes],
];
const COLUMNS = [
  ...AMOUNTS.map(([key, title, hint, get]) => ({ key, title, hint, get, numeric: true, cell: (row) => amount(row, get(row), key) })),
  { key: "end", title: "End", hint: "how it ended", get: (row) => row.end, cell: (row) => clip(row.end, 40) },
  { key: "pid", title: "Pid", hint: "process id", get: (row) => row.pid, numeric: true, cell: (row) => String(row.pid) },
];

function amount(row, value, key) {
  if (value === null && !row.at && key !== "peak") return h("span", { class: "unknown" }, row.there ? "no snapshot" : "–");
  return figure(value);
}

const order = (a, b) => (a === null ? (b === null ? 0 : -1) : b === null ? 1 : a < b ? -1 : a > b ? 1 : 0);

export class TreeTable {
  constructor(list, choice) {
    this.list = list;
    this.choice = choice;
    this.sort = { key: "rss", down: true };
    this.text = "";
    this.head = h("tr");
    this.body = h("tbody");
    this.status = h("p", { class: "note", role: "status" });
    this.search = h("input", { type: "search", placeholder: "Search names (regular expression)", "aria-label": "Search processes by a regular expression", oninput: () => ((this.text = this.search.value), this.update()) });
    this.all = h("button", { type: "button", onclick: () => choice.set(null, null) }, "Show all processes");
    this.more = h("button", { type: "button", onclick: () => this.addRows() }, "");
    const table = h("table", { class: "sites processes" }, h("caption", { class: "visually-hidden" }, "Processes"), h("thead", {}, this.head), this.body);
    this.element = h("div", {}, h("div", { class: "process-tools" }, this.search, this.all), this.status, scrollable("Processes", table, h("div", { class: "rows-left" }, this.more)));
    choice.listeners.push(() => this.update());
    this.update();
  }

  focus() {
    this.head.querySelector("button").focus();
  }

  wanted(row, regexp) {
    const { tree, group } = this.choice;
    if ((group !== null && row.group !== group) || (tree !== null && row.tree !== tree)) return false;
    return !regexp || regexp.test(`${row.command} ${row.exe} ${row.name} ${row.pid} ${row.owner ?? ""}`);
  }

  update() {
    const found = compile(this.text);
    const column = COLUMNS.find(({ key }) => key === this.sort.key);
    const get = column ? column.get : (row) => row.command;
    const sign = this.sort.down ? -1 : 1;
    this.rows = this.list.traces.filter((row) => this.wanted(row, found?.regexp)).sort((a, b) => sign * order(get(a), get(b)) || order(b.peak_rss_bytes, a.peak_rss_bytes) || order(a.name, b.name));
    this.all.hidden = this.choice.tree === null && this.choice.group === null;
    this.drawHead();
    this.shown = 0;
    this.body.replaceChildren();
    this.addRows();
    const total = this.list.traces.length;
    this.status.textContent = !found ? "This is not a regular expression: all processes are shown." : this.rows.length === total ? `${count(total)} processes.` : `${count(this.rows.length)} of ${count(total)} processes${this.which()}.`;
  }

  which() {
    const { tree, group } = this.choice;
    if (group !== null) return `, those of the group ${clip(this.list.groups[group].name, 120)}`;
    return tree !== null ? `, those of the tree of ${clip(this.list.trees[tree].root, 120)}` : "";
  }

  drawHead() {
    const make = ({ key, title, hint, numeric }) => {
      const active = key === this.sort.key;
      const turn = () => {
        this.sort = { key, down: active ? !this.sort.down : !!numeric };
        this.update();
        this.head.querySelector(`.col-${key} button`).focus();
      };
      return h(
        "th",
        { scope: "col", class: `${numeric ? "num" : key === "command" ? "call-col" : "word-col"} col-${key}`, "aria-sort": active ? (this.sort.down ? "descending" : "ascending") : null },
        h("button", { type: "button", class: "sort", title: hint, onclick: turn }, title, h("span", { class: "arrow", "aria-hidden": "true" }, active ? (this.sort.down ? "▼" : "▲") : "")),
      );
    };
    this.head.replaceChildren(make({ key: "command", title: "Title and trace", hint: "what it called itself last", numeric: false }), ...COLUMNS.map(make));
  }

  addRows() {
    const to = Math.min(this.shown + STEP, this.rows.length);
    this.body.append(...this.rows.slice(this.shown, to).map((row) => this.row(row)));
    this.shown = to;
    const left = this.rows.length - this.shown;
    this.more.hidden = left === 0;
    this.more.textContent = `Show more: ${count(left)} are left`;
    if (!this.rows.length) this.body.replaceChildren(h("tr", {}, h("td", { colspan: String(COLUMNS.length + 1), class: "empty" }, "No process matches.")));
  }

  row(row) {
    const inherited = row.inherited.map((part) => h("div", { class: "caller" }, `inherited: ${part.estimate ? "about " : ""}${bytes(part.committed_bytes)} of ${clip(part.call)} in ${clip(part.from)}`));
    return h(
      "tr",
      { "data-name": row.name },
      h(
        "td",
        { class: "call-col" },
        h("div", { class: "fn" }, clip(row.command, 300)),
        h("div", { class: "caller" }, `${clip(row.name)}${row.start_unix_ns ? `, started ${clock(row.start_unix_ns)}` : ""}${row.there ? "" : ", not there at the moment of its tree"}`),
        row.owner ? h("div", { class: "caller owner" }, `most: ${clip(row.owner, 400)}`) : null,
        inherited,
      ),
      ...COLUMNS.map((column) => h("td", { class: `${column.numeric ? "num" : "word-col"} col-${column.key}` }, column.cell(row))),
    );
  }

  csv() {
    const titles = [...COLUMNS.map(({ key }) => (AMOUNTS.some(([amountKey]) => amountKey === key) ? `${key}_bytes` : key)), "tree", "name", "title", "exe", "owner"];
    const lines = [titles, ...this.rows.map((row) => [...COLUMNS.map((column) => column.get(row) ?? ""), row.tree, row.name, row.command, row.exe, row.owner ?? ""])];
    return lines.map((line) => line.map(csvField).join(",")).join("\r\n") + "\r\n";
  }
}
