// RSS of a tree's processes added up, over time, as a picture and as words.
import { h } from "./dom.js";
import { bytes, duration } from "./format.js";

const WIDTH = 1000;
const HEIGHT = 160;
// The namespace as the browser has it: no address stands in the page.
const SVG = new DOMParser().parseFromString("<svg></svg>", "text/html").querySelector("svg").namespaceURI;

function shape(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

export class TreeLine {
  constructor({ line }, family) {
    const { time_ns: times, rss_bytes: sums } = line;
    const end = Math.max(times.at(-1) ?? 0, family.moment_ns, 1);
    const most = Math.max(...sums, 1);
    const x = (ns) => (WIDTH * Math.max(ns, 0)) / end;
    const y = (rss) => HEIGHT - (HEIGHT - 8) * (rss / most);
    let path = `M${x(times[0] ?? 0)} ${HEIGHT}`;
    times.forEach((ns, i) => (path += `H${x(ns).toFixed(1)}V${y(sums[i]).toFixed(1)}`));
    path += `H${x(end).toFixed(1)}V${HEIGHT}Z`;
    const words = `RSS added up: at most ${bytes(sums.length ? most : null)}, over ${duration(end)}. The line marks the moment that the figures are of, at ${duration(Math.max(family.moment_ns, 0))}.`;
    const picture = shape(
      "svg",
      { class: "tree-line", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": words },
      shape("path", { class: "tree-area", d: path }),
      shape("line", { class: "tree-moment", x1: x(family.moment_ns), x2: x(family.moment_ns), y1: 0, y2: HEIGHT }),
    );
    this.element = h("figure", { class: "tree-figure" }, picture, h("figcaption", { class: "note" }, words));
  }
}
