// Reserved and in RAM, as two bars on one scale: for all, and for each class. A click on a class
// shows that class alone everywhere.
import { figure, h, scrollable, swatch } from "./dom.js";
import { look, mixed } from "./colors.js";
import { bytes, ratio } from "./format.js";
import { set, state } from "./state.js";

// A program can reserve a thousand times what it uses: then the scale ends a little above what is in
// RAM, and bars that go on have a torn end.
const TOO_WIDE = 12;
const SHOWN = 4;

export function scaleOf(reserved, rss, limit) {
  const most = Math.max(reserved, rss, 1);
  const needed = Math.max(rss, limit && limit < rss * TOO_WIDE ? limit : 0, 1);
  if (most <= needed * TOO_WIDE) return { end: Math.max(most, needed), torn: false };
  return { end: needed * SHOWN, torn: true };
}

function bar(kind, value, scale, tones) {
  const part = Math.min(value / scale.end, 1);
  return h("div", {
    class: `bar bar-${kind} hatch-${kind === "ram" ? tones.hatch : 0}${value > scale.end ? " bar-torn" : ""}`,
    style: { width: `${Math.max(part * 100, value > 0 ? 0.15 : 0)}%`, "--solid": tones.solid, "--pale": tones.pale },
  });
}

export class Bars {
  constructor(page) {
    this.page = page;
    this.body = h("tbody");
    this.note = h("p", { class: "note" });
    this.table = h(
      "table",
      { class: "bars" },
      h("caption", { class: "visually-hidden" }, "Reserved and in RAM, for each class of memory"),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, "Class"),
          h("th", { scope: "col", class: "bars-col" }, this.legend()),
          ...["Reserved", "In RAM", "of RSS", "Never touched", "In swap"].map((title) => h("th", { scope: "col", class: "num" }, title)),
        ),
      ),
      this.body,
    );
    this.element = h("div", {}, scrollable("Reserved and in RAM, by class", this.table), this.note);
  }

  legend() {
    const entry = (key, text) => h("span", { class: "legend-entry" }, h("span", { class: `key key-${key}` }), text);
    return h("span", { class: "legend" }, entry("reserved", "reserved"), entry("ram", "in RAM"));
  }

  update(changed) {
    if (changed && !["at", "class"].some((key) => changed.has(key))) return;
    const { model } = this.page;
    const index = model.snapshotAt(state.at);
    const snapshot = model.snapshots[index];
    const figures = snapshot.classes;
    const total = (name) => figures[name].reduce((sum, value) => sum + (value ?? 0), 0);
    const limit = model.raw.limit_bytes;
    const all = { reserved: total("reserved"), committed: total("committed"), swapped: total("swapped"), never_touched: total("never_touched") };
    const scale = scaleOf(all.reserved, all.committed, limit);
    const order = model.classes.map((_, i) => i).filter((i) => figures.reserved[i] > 0 || figures.committed[i] > 0 || figures.swapped[i] > 0);
    this.swapped = all.swapped > 0;
    this.table.classList.toggle("no-swap", !this.swapped);
    this.body.replaceChildren(
      this.row({ name: null, ...all, scale, rss: all.committed, limit }),
      ...order.map((i) =>
        this.row({
          name: model.classes[i],
          reserved: figures.reserved[i],
          committed: figures.committed[i],
          swapped: figures.swapped[i],
          never_touched: figures.never_touched[i],
          scale,
          rss: all.committed,
        }),
      ),
    );
    this.say(scale, limit, snapshot);
  }

  say(scale, limit, snapshot) {
    const notes = [];
    if (scale.torn) notes.push(`The scale ends at ${bytes(scale.end)}: bars with a torn end go on.`);
    if (limit) notes.push(limit <= scale.end ? `The tick is the limit of the memory cgroup, ${bytes(limit)}.` : `The limit of the memory cgroup, ${bytes(limit)}, lies beyond the scale.`);
    if (snapshot.classes.hugetlb?.some((value) => value > 0)) notes.push(`Huge pages (hugetlb) are in RAM and not in RSS: ${bytes(snapshot.classes.hugetlb.reduce((a, b) => a + b, 0))}.`);
    this.note.textContent = notes.join(" ");
  }

  row({ name, reserved, committed, swapped, never_touched, scale, rss, limit }) {
    const tones = name === null ? mixed() : look(name);
    const chosen = name !== null && state.class === name;
    const toggle = () => set({ class: chosen || name === null ? "" : name, zoom: "" });
    const limitShown = limit && limit <= scale.end;
    return h(
      "tr",
      { class: `${name === null ? "total" : ""}${chosen ? " chosen" : ""}${state.class && name !== null && !chosen ? " dim" : ""}`, "data-class": name ?? "", onclick: (event) => event.target.closest("button") || toggle() },
      h("th", { scope: "row" }, h("button", { type: "button", class: "row-button", "aria-pressed": name === null ? null : String(chosen), onclick: toggle }, name === null ? null : swatch(tones), name ?? "Whole address space")),
      h(
        "td",
        { class: "bars-col", "aria-hidden": "true" },
        h(
          "div",
          { class: "pair" },
          bar("reserved", reserved, scale, tones),
          bar("ram", committed, scale, tones),
          limitShown ? h("div", { class: "limit-tick", style: { left: `${(100 * limit) / scale.end}%` }, title: `limit ${bytes(limit)}` }) : null,
        ),
      ),
      h("td", { class: "num" }, figure(reserved)),
      h("td", { class: "num strong" }, figure(committed)),
      h("td", { class: "num quiet" }, ratio(committed, rss)),
      h("td", { class: "num" }, never_touched ? figure(never_touched) : h("span", { class: "nil" }, "–")),
      h("td", { class: "num swap-col" }, swapped ? figure(swapped) : h("span", { class: "nil" }, "–")),
    );
  }
}
