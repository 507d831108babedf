// What each class has before and after: two bars on one scale for each.
import { figure, h, scrollable } from "./dom.js";
import { sides } from "./colors.js";
import { set, state } from "./state.js";

export class DiffBars {
  constructor(page) {
    this.page = page;
    this.body = h("tbody");
    const titles = ["RAM before", "RAM after", "Change", "Reserved before", "Reserved after", "Change"];
    this.element = scrollable(
      "In RAM and reserved, by class",
      h(
        "table",
        { class: "bars diff-bars" },
        h("caption", { class: "visually-hidden" }, "In RAM and reserved before and after, for each class of memory"),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Class"), h("th", { scope: "col", class: "bars-col" }, h("span", { class: "legend" }, ...["before", "after"].map((name) => h("span", { class: "legend-entry" }, h("span", { class: `key key-${name}` }), `in RAM ${name}`)))), ...titles.map((title) => h("th", { scope: "col", class: "num" }, title)))),
        this.body,
      ),
    );
  }

  update(changed) {
    if (changed && !["at", "before", "class"].some((key) => changed.has(key))) return;
    const { diff } = this.page;
    const rows = diff.merged.classes.map((name) => ({ name, figures: ["committed", "reserved"].map((figureName) => [0, 1].map((side) => diff.classValue(name, side, figureName))) }));
    const all = { name: null, figures: [0, 1].map((f) => [0, 1].map((side) => rows.reduce((sum, row) => sum + row.figures[f][side], 0))) };
    const scale = Math.max(...all.figures[0], 1);
    const shown = rows.filter((row) => row.figures.flat().some((value) => value > 0));
    this.body.replaceChildren(...[all, ...shown].map((row) => this.row(row, scale)));
  }

  row({ name, figures }, scale) {
    const [[before, after], reserved] = figures;
    const chosen = name !== null && state.class === name;
    const toggle = () => set({ class: chosen || name === null ? "" : name, zoom: "" });
    const tones = sides();
    const bar = (kind, value, color) => h("div", { class: `bar bar-${kind}`, style: { width: `${(100 * value) / scale}%`, "--solid": color } });
    const cells = ([a, b]) => [h("td", { class: "num" }, figure(a)), h("td", { class: "num" }, figure(b)), h("td", { class: `num strong ${b > a ? "more" : b < a ? "less" : "quiet"}` }, figure(b - a, { signed: true }))];
    return h(
      "tr",
      { class: `${name === null ? "total" : ""}${chosen ? " chosen" : ""}${state.class && name !== null && !chosen ? " dim" : ""}`, "data-class": name ?? "", onclick: (event) => event.target.closest("button") || toggle() },
      h("th", { scope: "row" }, h("button", { type: "button", class: "row-button", "aria-pressed": name === null ? null : String(chosen), onclick: toggle }, name ?? "Whole address space")),
      h("td", { class: "bars-col", "aria-hidden": "true" }, h("div", { class: "pair" }, bar("before", before, tones.before), bar("after", after, tones.after))),
      ...cells([before, after]),
      ...cells(reserved),
    );
  }
}
