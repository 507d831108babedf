// Processes of one tree that are called alike.
import { figure, h, scrollable } from "./dom.js";
import { bytes, count } from "./format.js";
import { clip } from "./safe_text.js";

// "1.4 MiB each", "1.2 MiB to 1.6 MiB"; "" where it is not known of each.
function each({ least_private_bytes: least, most_private_bytes: most }) {
  if (least === null || most === null) return "not known of each";
  return bytes(least) === bytes(most) ? `${bytes(least)} each` : `${bytes(least)} to ${bytes(most)}`;
}

export class TreeGroups {
  constructor(groups, choice) {
    const show = (group) => (choice.set(null, group), document.getElementById("processes").scrollIntoView());
    const rows = groups.map((group) =>
      h(
        "tr",
        { "data-group": group.name },
        h("td", { class: "call-col" }, h("button", { type: "button", class: "link", onclick: () => show(group.number) }, clip(group.name, 200)), group.forked ? h("span", { class: "quiet" }, " forked") : null),
        h("td", { class: "num" }, count(group.traces)),
        h("td", { class: "num" }, count(group.there)),
        h("td", { class: "num" }, group.there ? figure(group.rss_bytes) : "–"),
        h("td", { class: "num" }, group.there ? each(group) : "–"),
        h("td", { class: "num" }, group.there ? figure(group.proportional_bytes) : "–"),
        h("td", { class: "num" }, figure(group.peak_rss_bytes)),
      ),
    );
    const titles = ["Processes", "There then", "RSS together", "Private", "Pss together", "Highest peak"].map((title) => h("th", { scope: "col", class: "num" }, title));
    this.element = scrollable("Groups", h("table", { class: "sites groups" }, h("caption", {}, "Groups: processes that are called alike"), h("thead", {}, h("tr", {}, h("th", { scope: "col", class: "call-col" }, "Name"), ...titles)), h("tbody", {}, rows)));
  }
}
