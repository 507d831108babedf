// What the opened row of the table shows: the whole stack, and the site's figures over time.
import { figure, h, scrollable } from "./dom.js";
import { duration } from "./format.js";
import { clip } from "./safe_text.js";
import { set } from "./state.js";

function stackList(model, frames) {
  return h(
    "ol",
    { class: "stack" },
    frames.map((frame) => {
      const { name, file, line, module, inlined } = model.describe(frame);
      return h(
        "li",
        {},
        h("span", { class: "fn" }, clip(name, 1000)),
        file ? h("span", { class: "place" }, ` ${clip(file + (line ? `:${line}` : ""), 500)}`) : null,
        h("span", { class: "quiet" }, ` ${clip(module, 500)}${inlined ? " (inlined)" : ""}`),
      );
    }),
  );
}

function history(model, site, estimate) {
  const rows = [];
  model.snapshots.forEach((snapshot, index) => {
    const place = snapshot.sites.site.indexOf(site);
    const get = (name) => (place < 0 ? 0 : snapshot.sites[name][place]);
    rows.push({ index, time: snapshot.time_ns, committed: get("committed"), reserved: get("reserved"), live: get("live") });
  });
  const most = Math.max(...rows.map((row) => row.reserved), 1);
  return h(
    "table",
    { class: "history" },
    h("caption", {}, "This call site over time"),
    h("thead", {}, h("tr", {}, ...["Time", "In RAM", "Reserved", ""].map((title, i) => (title ? h("th", { scope: "col", class: i ? "num" : null }, title) : h("td"))))),
    h(
      "tbody",
      {},
      rows.map((row) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, h("button", { type: "button", class: "link", title: "go to this moment", onclick: () => set({ at: row.index }) }, duration(row.time))),
          h("td", { class: "num" }, figure(row.committed, { estimate: estimate && row.committed > 0 })),
          h("td", { class: "num" }, figure(row.reserved, { estimate: estimate && row.reserved > 0 })),
          h(
            "td",
            { "aria-hidden": "true" },
            h("div", { class: "mini" }, h("div", { class: "mini-reserved", style: { width: `${(100 * row.reserved) / most}%` } }), h("div", { class: "mini-ram", style: { width: `${(100 * row.committed) / most}%` } })),
          ),
        ),
      ),
    ),
  );
}

export function siteDetail(page, i) {
  const { model, index, frames, node, estimate } = page.site(i);
  return h(
    "div",
    { class: "site-detail" },
    h(
      "div",
      {},
      h("h3", {}, "Call stack, innermost first"),
      stackList(model, frames),
      node > 0 && !page.diff
        ? h("button", { type: "button", onclick: () => (set({ chart: "callers", zoom: String(node) }), document.getElementById("icicle").scrollIntoView()) }, "Show in the icicle")
        : null,
    ),
    scrollable("This call site over time", history(model, index, estimate)),
  );
}
