// The page of a report about several traces: what each tree of processes has in RAM together, over
// time, its groups, and one table of all processes.
import { setPrinting } from "./colors.js";
import { h, section } from "./dom.js";
import { downloadText } from "./export.js";
import { count, plural } from "./format.js";
import { footer, themeButton } from "./frame.js";
import { readText } from "./payload.js";
import { clip } from "./safe_text.js";
import { TreeGroups } from "./tree_groups.js";
import { TreeLine } from "./tree_line.js";
import { TreeTable } from "./tree_table.js";

// What the sections share: which tree or group the table shows.
class Choice {
  constructor() {
    this.tree = null;
    this.group = null;
    this.listeners = [];
  }

  set(tree, group) {
    this.tree = tree;
    this.group = group;
    for (const listener of this.listeners) listener();
  }
}

function losses(data) {
  const lines = [...data.losses];
  if (data.left_out) lines.push(`So that this file stays small, ${plural(data.left_out, "process is", "processes are")} not in its table: those with the smallest peaks. All sums are exact.`);
  return lines.length ? h("div", { class: "losses", role: "note" }, h("strong", {}, "What is missing"), h("ul", {}, lines.map((line) => h("li", {}, clip(line, 2100))))) : null;
}

function header(data) {
  const { list, trees } = data;
  const first = trees[0];
  return h(
    "header",
    {},
    h("div", { class: "brand-row" }, h("span", { class: "brand" }, "vmtrace"), h("span", { class: "kind-of" }, "processes together"), themeButton(() => {})),
    h("h1", {}, list.directory ? clip(list.directory, 120) : plural(list.traces.length + data.left_out, "trace", "traces")),
    first ? h("p", { class: "headline", id: "headline" }, h("strong", {}, clip(first.sum, 3000))) : null,
    losses(data),
  );
}

function treeSection(data, tree, choice) {
  const { list } = data;
  const family = list.trees[tree.number];
  const groups = list.groups.filter((group) => group.tree === tree.number && group.traces > 1);
  const only = h("button", { type: "button", onclick: () => (choice.set(tree.number, null), document.getElementById("processes").scrollIntoView()) }, `Show its ${plural(family.traces, "process", "processes")} alone`);
  return section(
    `tree-${tree.number}`,
    clip(tree.title, 200),
    null,
    tree === data.trees[0] ? null : h("p", { class: "tree-sum" }, clip(tree.sum, 3000)),
    only,
    new TreeLine(tree, family).element,
    groups.length ? new TreeGroups(groups, choice).element : null,
  );
}

export function showTree(data) {
  const choice = new Choice();
  data.list.groups.forEach((group, number) => (group.number = number));
  const table = new TreeTable(data.list, choice);
  const name = (data.list.directory || "vmtrace").replace(/^.*\/(?=.)/, "").replace(/[^\w.-]+/g, "_").slice(0, 100);
  const downloads = h(
    "div",
    { class: "downloads" },
    h("button", { type: "button", onclick: () => downloadText(`${name}.csv`, "text/csv", table.csv()) }, "Download CSV"),
    h("button", { type: "button", onclick: async () => downloadText(`${name}.json`, "application/json", await readText()) }, "Download JSON"),
  );
  const main = h(
    "main",
    { id: "main" },
    ...data.trees.map((tree) => treeSection(data, tree, choice)),
    data.more_trees ? h("p", { class: "note" }, `${count(data.more_trees)} smaller trees have no section of their own; their processes are in the table.`) : null,
    section("processes", "Processes", "Each by a snapshot of its own near the moment of its tree. A process without a tree: at its peak, or now where it runs.", downloads, table.element),
  );
  document.title = `${name}: vmtrace report`;
  document.body.replaceChildren(
    h("a", { class: "skip", href: "#processes", onclick: (event) => (event.preventDefault(), table.focus()) }, "Skip to the processes"),
    header(data),
    main,
    footer(data, [["/", "search"]]),
  );
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    event.preventDefault();
    table.search.focus();
  });
  for (const [event, printing] of [["beforeprint", true], ["afterprint", false]])
    addEventListener(event, () => (setPrinting(printing), document.documentElement.classList.toggle("printing", printing)));
}
