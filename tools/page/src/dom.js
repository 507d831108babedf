// Makes elements. Text only ever becomes a text node, and style is set by properties: the page's
// policy forbids both markup from data and style attributes.
import { bytes, change, count } from "./format.js";

export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "style") {
      for (const [key, setting] of Object.entries(value)) element.style.setProperty(key, setting);
    } else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// A figure: as people write it, with the exact number behind it.
export function figure(value, { estimate = false, signed = false } = {}) {
  if (value === null || value === undefined) return h("span", { class: "unknown" }, "not known");
  const text = signed ? change(value) : bytes(value);
  if (value >= Number.MAX_SAFE_INTEGER) return h("data", { value: String(value) }, "8 PiB or more");
  return h(
    "data",
    { value: String(value), title: `${estimate ? "about " : ""}${count(value)} bytes` },
    estimate ? h("span", { class: "about", title: "estimated from samples" }, "~ ") : null,
    text,
  );
}

export function swatch(look) {
  return h("span", { class: `swatch hatch-${look.hatch}`, style: { "--solid": look.solid }, "aria-hidden": "true" });
}

export function section(id, title, note, ...content) {
  return h(
    "section",
    { id, "aria-labelledby": `${id}-title` },
    h("div", { class: "section-head" }, h("h2", { id: `${id}-title` }, title), note ? h("p", { class: "note" }, note) : null),
    ...content,
  );
}

// What may be wider than the screen scrolls by itself; where it does, keys reach it.
export function scrollable(label, ...content) {
  const element = h("div", { class: "scroll", role: "group", "aria-label": label }, ...content);
  const follow = () => {
    if (element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight) element.tabIndex = 0;
    else element.removeAttribute("tabindex");
  };
  const observer = new ResizeObserver(follow);
  observer.observe(element);
  for (const child of element.children) observer.observe(child);
  return element;
}

// Runs of changes within one frame become one call.
export function once(action) {
  let due = false;
  return () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      action();
    });
  };
}
