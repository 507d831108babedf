// Reads the data, lays out the page, and keeps its views in step with what is chosen (state.js).
import { Bars } from "./bars.js";
import { DiffBars } from "./diff_bars.js";
import { Diff } from "./diff.js";
import { setPrinting } from "./colors.js";
import { h, section } from "./dom.js";
import { downloadCsv, downloadJson } from "./export.js";
import { footer, header } from "./frame.js";
import { Icicle } from "./icicle.js";
import { Model } from "./model.js";
import { panels } from "./panels.js";
import { readData } from "./payload.js";
import { clip } from "./safe_text.js";
import { Search } from "./search.js";
import { onChange, start, state } from "./state.js";
import { Strip } from "./strip.js";
import { Table } from "./table.js";
import { Timeline } from "./timeline.js";
import { Tip } from "./tip.js";
import { Toolbar } from "./toolbar.js";
import { showTree } from "./tree_page.js";

// What the views share.
class Page {
  constructor(data) {
    this.data = data;
    this.tip = new Tip();
    const models = data.views.map((view) => new Model(view));
    this.diff = data.diff && models.length === 2 ? new Diff(models, data.diff) : null;
    this.model = this.diff ? this.diff.models[1] : models[0];
    this.searches = (this.diff ? [...this.diff.models, this.diff.merged] : [this.model]).map((model) => new Search(model));
    this.fileName = (this.model.raw.trace || "vmtrace").replace(/[^\w.-]+/g, "_").slice(0, 100);
  }

  // -- the rows of the table: call sites, or pairs of them ---------------------------------------

  siteCount() {
    return this.diff ? this.diff.pairs.length : this.model.siteCount;
  }

  site(i) {
    if (this.diff) return this.diff.site(i);
    const { sites } = this.model;
    return { model: this.model, index: i, node: sites.node[i], frames: this.model.stack(sites.node[i]), kind: sites.kind[i], className: this.model.classes[sites.class[i]] ?? "", estimate: !!sites.estimate[i] };
  }

  siteLabel(i) {
    const { model, index } = this.site(i);
    return model.siteLabel(index);
  }

  missingSites() {
    return this.diff ? this.diff.models.some((model, side) => !model.hasSites(this.diff.at(side))) : !this.model.hasSites(state.at);
  }

  hasSwap() {
    return !this.diff && this.model.snapshots.some((snapshot) => snapshot.classes.swapped.some((value) => value > 0));
  }

  // What a search found in the icicle's trees.
  matches() {
    return this.searches.at(-1).matches();
  }

  zoomLabel() {
    const { tree, top } = this.icicle;
    return tree ? tree.label(top, 60) : "";
  }

  // Which rows of the table are shown. Asked of 100,000 rows at each letter of a search.
  filter() {
    const found = this.searches.map((search) => search.matches());
    const inside = this.zoomed();
    if (this.diff) {
      return (i) => {
        const { node, className, side } = this.diff.brief(i);
        if (state.class && className !== state.class) return false;
        return (!found[side] || found[side].nodes[node] === 1) && (!inside || inside(i, node));
      };
    }
    const { node, class: classOf } = this.model.sites;
    const wanted = state.class ? this.model.classIndex(state.class) : -1;
    const hits = found[0]?.nodes;
    if (!state.class && !hits && !inside) return () => true;
    return (i) => (!state.class || classOf[i] === wanted) && (!hits || hits[node[i]] === 1) && (!inside || inside(i, node[i]));
  }

  zoomed() {
    if (!state.zoom || this.icicle.chart() === "touchers") return null;
    const trie = this.diff ? this.diff.merged : this.model;
    const nodeOf = (i, node) => (this.diff ? this.diff.merged.sites.node[i] : node);
    if (this.icicle.chart() === "callers") {
      const node = /^\d{1,9}$/.test(state.zoom) ? Number(state.zoom) : 0;
      if (!node || node >= trie.parent.length) return null;
      const inside = trie.below(node);
      return (i, at) => inside[nodeOf(i, at)] === 1;
    }
    const path = state.zoom.split(".").map(Number);
    return (i, at) => {
      let node = nodeOf(i, at);
      for (const frame of path) {
        if (trie.frame[node] !== frame) return false;
        node = trie.parent[node];
      }
      return true;
    };
  }
}

function build(page) {
  const { data, diff } = page;
  page.toolbar = new Toolbar(page);
  page.bars = diff ? new DiffBars(page) : new Bars(page);
  page.timeline = new Timeline(page);
  page.icicle = new Icicle(page);
  page.strip = !diff && page.model.snapshots.some((snapshot) => snapshot.map) ? new Strip(page) : null;
  page.table = new Table(page);
  const downloads = h("div", { class: "downloads" }, h("button", { type: "button", onclick: () => downloadCsv(page) }, "Download CSV"), h("button", { type: "button", onclick: () => downloadJson(page) }, "Download JSON"));
  const main = h(
    "main",
    { id: "main" },
    page.toolbar.element,
    section("classes", "Reserved and in RAM", diff ? "Both moments on one scale." : "A click on a class shows it alone everywhere.", page.bars.element),
    section("timeline", "Over time", diff ? "Click or drag: the second trace goes to its nearest moment." : "RSS was read more often than the classes, which keep their last figure until the next snapshot. A click or a drag takes every view to the nearest moment with call sites: the ticks below.", page.timeline.element),
    section("icicle", "Stacks", null, page.icicle.element),
    page.strip ? section("space", "Address space", null, page.strip.element) : null,
    section("sites", "Call sites", null, downloads, page.table.element),
    ...panels(page),
  );
  document.title = header.title(page);
  const top = header(page, redraw);
  top.append(contents(main));
  document.body.replaceChildren(h("a", { class: "skip", href: "#sites", onclick: (event) => (event.preventDefault(), page.table.element.querySelector("button")?.focus()) }, "Skip to the call sites"), top, main, footer(data), page.tip.element);
  return [page.toolbar, page.bars, page.timeline, page.icicle, page.strip, page.table].filter(Boolean);
}

// The page's sections, to jump to. The hash is taken: it holds what is chosen.
function contents(main) {
  const sections = [...main.querySelectorAll(":scope > section")];
  return h("nav", { class: "contents", "aria-label": "Sections" }, ...sections.map((part) => h("button", { type: "button", class: "link", onclick: () => part.scrollIntoView() }, part.querySelector("h2").textContent)));
}

let views = [];

function redraw() {
  for (const view of views) view.update(null);
}

function sayReady() {
  performance.mark("ready");
  document.documentElement.dataset.ready = "yes";
}

async function run() {
  const data = await readData();
  if (data.tree) return showTree(data.tree), sayReady();
  start();
  const page = new Page(data);
  views = build(page);
  for (const view of views) view.update(null);
  page.toolbar.update();
  onChange((changed) => {
    page.tip.hide();
    // The toolbar names the place into which the icicle is zoomed: it comes last.
    for (const view of views.slice(1)) view.update(changed);
    page.toolbar.update();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  // The print's own style is there only after this event, and its picture is taken at once.
  for (const [name, printing] of [["beforeprint", true], ["afterprint", false]])
    addEventListener(name, () => {
      setPrinting(printing);
      document.documentElement.classList.toggle("printing", printing);
      for (const view of views) view.update(null), view.paintNow?.();
    });
  sayReady();
}

run().catch((error) => {
  document.body.replaceChildren(h("main", {}, h("h1", {}, "This report cannot be shown"), h("p", { role: "alert" }, clip(String(error), 500)), h("p", {}, "It needs a browser of 2023 or later, with JavaScript.")));
  document.documentElement.dataset.ready = "failed";
});
