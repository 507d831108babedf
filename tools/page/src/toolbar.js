// The bar that stays on top: which moment, what is filtered, the search.
import { h } from "./dom.js";
import { bytes, duration } from "./format.js";
import { clip } from "./safe_text.js";
import { compile } from "./search.js";
import { isDefault, reset, set, state } from "./state.js";

const MARKS = { peak: "peak", end: "end", report: "the report's moment" };

export function momentName(model, index) {
  const { time_ns: time, marks } = model.snapshots[index];
  const words = (marks ?? []).map((mark) => MARKS[mark] ?? mark);
  return `${duration(time)}${words.length ? ` (${words.join(", ")})` : ""}`;
}

// One control for each trace: a slider over its moments.
class Moments {
  constructor(model, key, title) {
    Object.assign(this, { model, key });
    const last = model.snapshots.length - 1;
    const move = (by) => set({ [key]: Math.max(0, Math.min(last, model.snapshotAt(state[key]) + by)) });
    this.slider = h("input", { type: "range", min: "0", max: String(last), step: "1", "aria-label": `${title}: moment`, oninput: () => set({ [key]: Number(this.slider.value) }, { replace: true }) });
    this.text = h("output", { class: "moment" });
    this.back = h("button", { type: "button", class: "icon", "aria-label": `${title}: earlier moment`, onclick: () => move(-1) }, "‹");
    this.on = h("button", { type: "button", class: "icon", "aria-label": `${title}: later moment`, onclick: () => move(1) }, "›");
    this.title = title;
    this.element = h("div", { class: "moments" }, h("span", { class: "moments-title" }, title), this.back, this.slider, this.on, this.text);
    this.move = move;
  }

  update() {
    const index = this.model.snapshotAt(state[this.key]);
    const name = momentName(this.model, index);
    this.slider.value = String(index);
    this.slider.setAttribute("aria-valuetext", name);
    this.back.disabled = index === 0;
    this.on.disabled = index === this.model.snapshots.length - 1;
    this.text.replaceChildren(h("strong", {}, name), ` · RSS ${bytes(this.model.snapshots[index].rss)}`);
  }
}

export class Toolbar {
  constructor(page) {
    this.page = page;
    this.moments = page.diff ? [new Moments(page.diff.models[0], "before", "Before"), new Moments(page.diff.models[1], "at", "After")] : [new Moments(page.model, "at", "At")];
    let typed = 0;
    this.search = h("input", {
      type: "search",
      id: "search",
      placeholder: "Search: function, file or module (regular expression)",
      "aria-label": "Search call sites by a regular expression",
      autocomplete: "off",
      spellcheck: false,
      maxlength: "200",
      oninput: () => {
        clearTimeout(typed);
        typed = setTimeout(() => set({ q: this.search.value }, { replace: true }), 60);
      },
    });
    this.chips = h("div", { class: "chips" });
    this.element = h("div", { class: "toolbar", role: "region", "aria-label": "Moment, filters and search" }, h("div", { class: "toolbar-row" }, ...this.moments.map((moments) => moments.element), this.search), this.chips);
    addEventListener("keydown", (event) => this.key(event));
  }

  update() {
    for (const moments of this.moments) moments.update();
    if (document.activeElement !== this.search) this.search.value = state.q;
    this.search.setAttribute("aria-invalid", String(compile(state.q) === null));
    this.drawChips();
  }

  drawChips() {
    const chip = (text, off) => h("button", { type: "button", class: "chip", "aria-label": `Remove the filter: ${text}`, onclick: off }, text, h("span", { "aria-hidden": "true" }, " ×"));
    const chips = [];
    if (state.class) chips.push(chip(`class: ${clip(state.class, 60)}`, () => set({ class: "" })));
    if (state.zoom) chips.push(chip(`through: ${this.page.zoomLabel()}`, () => set({ zoom: "" })));
    if (state.q) chips.push(chip(`search: ${clip(state.q, 60)}`, () => set({ q: "" })));
    if (!isDefault()) chips.push(h("button", { type: "button", class: "link", onclick: reset }, "Show everything"));
    this.chips.hidden = !chips.length;
    this.chips.replaceChildren(...chips);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, dialog, canvas")) {
      if (event.key === "Escape" && event.target === this.search) this.search.blur();
      return;
    }
    if (event.key === "/") {
      event.preventDefault();
      this.search.focus();
    } else if (event.key === "[" || event.key === ",") this.moments.at(-1).move(-1);
    else if (event.key === "]" || event.key === ".") this.moments.at(-1).move(1);
    else if (event.key === "Escape") set({ class: "", zoom: "", q: "", site: null });
  }
}
