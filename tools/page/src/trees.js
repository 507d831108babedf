// The icicle's trees. Each has the same face: root, children(n) by falling width, width(n), fill(n)
// (how much of the width is in RAM), label(n), parent(n), key(n) for the URL, find(key).

// What a tree adds up, by site: width, fill and, where two traces are compared, extra; rests: the
// same of what no site has, by class.
export function valuesAt(model, at, widthName) {
  const all = model.figures(at);
  const rests = model.classes.map((_, c) => ({ width: model.rest(at, widthName, c), fill: model.rest(at, "committed", c), extra: 0 }));
  return { width: all[widthName], fill: all.committed, extra: null, rests };
}

const NONE = -2;
const SEVERAL = -1;

// Adds the sites' values up to the root; of one class where classIndex is not -1.
function sumUp(model, values, classIndex) {
  const total = model.parent.length;
  const width = new Float64Array(total);
  const fill = new Float64Array(total);
  const extra = new Float64Array(values.extra ? total : 0);
  const cls = new Int16Array(total).fill(NONE);
  const join = (node, index) => {
    cls[node] = cls[node] === NONE || cls[node] === index ? index : SEVERAL;
  };
  const { node, class: siteClass } = model.sites;
  for (let i = 0; i < model.siteCount; i++) {
    if (classIndex >= 0 && siteClass[i] !== classIndex) continue;
    if (!values.width[i] && !values.fill[i]) continue;
    width[node[i]] += values.width[i];
    fill[node[i]] += values.fill[i];
    if (values.extra) extra[node[i]] += values.extra[i];
    join(node[i], siteClass[i]);
  }
  values.rests.forEach((rest, c) => {
    if ((classIndex >= 0 && c !== classIndex) || !(rest.width > 0)) return;
    const place = model.realNodes + c;
    width[place] = rest.width;
    fill[place] = rest.fill;
    if (values.extra) extra[place] = rest.extra;
    cls[place] = c;
  });
  for (let i = total - 1; i > 0; i--) {
    const up = model.parent[i];
    width[up] += width[i];
    fill[up] += fill[i];
    if (values.extra) extra[up] += extra[i];
    if (cls[i] !== NONE) join(up, cls[i]);
  }
  return { width, fill, extra, cls };
}

// By caller: from the outermost function inward, as the trace has it.
export class CallerTree {
  constructor(model, values, classIndex) {
    this.model = model;
    this.sums = sumUp(model, values, classIndex);
    this.root = 0;
  }

  children(node) {
    const result = [];
    const { firstChild, nextSibling } = this.model;
    const { width } = this.sums;
    for (let c = firstChild[node]; c >= 0; c = nextSibling[c]) if (width[c] > 0) result.push(c);
    return result.sort((a, b) => width[b] - width[a] || a - b);
  }

  width(node) {
    return this.sums.width[node];
  }

  fill(node) {
    return this.sums.fill[node];
  }

  extra(node) {
    return this.sums.extra[node];
  }

  classOf(node) {
    return this.sums.cls[node];
  }

  parent(node) {
    return node === 0 ? null : this.model.parent[node];
  }

  label(node, longest) {
    return this.model.nodeLabel(node, longest);
  }

  frame(node) {
    return this.model.frame[node];
  }

  key(node) {
    return node ? String(node) : "";
  }

  find(key) {
    const node = /^\d{1,9}$/.test(key) ? Number(key) : 0;
    return node < this.model.parent.length ? node : 0;
  }
}

// By who touched the pages, as far as that was sampled: the same, of other stacks.
export class ToucherTree extends CallerTree {
  constructor(model, classIndex) {
    super(model, { width: [], fill: [], extra: null, rests: [] }, classIndex);
    const { committers } = model.raw;
    const width = new Float64Array(model.parent.length);
    const ofClass = (i) =>
      classIndex < 0
        ? committers.committed[i]
        : committers.reserved_by[i].reduce((sum, [, c, part]) => sum + (c === classIndex ? part : 0), 0);
    committers.node.forEach((node, i) => (width[node] += ofClass(i)));
    for (let i = width.length - 1; i > 0; i--) width[model.parent[i]] += width[i];
    this.sums = { width, fill: width, cls: new Int16Array(width.length).fill(classIndex >= 0 ? classIndex : -1) };
  }
}

// Inverted: from the call that reserved outward. Made as far as it is looked at.
export class InvertedTree {
  constructor(model, values, classIndex) {
    const { width, fill, extra, cls } = sumUp(model, values, classIndex);
    const { node, class: siteClass } = model.sites;
    const item = (place, parent) => ({ parent, frame: model.frame[place], width: width[place], fill: fill[place], extra: extra[place] ?? 0, cls: cls[place], sites: [], at: [], kids: null });
    this.model = model;
    this.values = values;
    this.root = item(0, null);
    for (let i = 0; i < model.siteCount; i++) {
      if (classIndex >= 0 && siteClass[i] !== classIndex) continue;
      if (!values.width[i] && !values.fill[i]) continue;
      this.root.sites.push(i);
      this.root.at.push(node[i]);
    }
    this.rests = model.classes.map((_, c) => item(model.realNodes + c, this.root)).filter((rest) => rest.width > 0);
    for (const rest of this.rests) rest.kids = [];
  }

  children(item) {
    if (item.kids) return item.kids;
    const groups = new Map();
    const { frame, parent, sites } = this.model;
    const { width, fill, extra } = this.values;
    for (let i = 0; i < item.sites.length; i++) {
      const node = item.at[i];
      if (node === 0 && item !== this.root) continue;
      const site = item.sites[i];
      const key = node === 0 ? -1 : frame[node];
      let group = groups.get(key);
      if (!group) groups.set(key, (group = { parent: item, frame: key, width: 0, fill: 0, extra: 0, cls: sites.class[site], sites: [], at: [], kids: null }));
      group.width += width[site];
      group.fill += fill[site];
      if (extra) group.extra += extra[site];
      if (group.cls !== sites.class[site]) group.cls = SEVERAL;
      group.sites.push(site);
      group.at.push(parent[node]);
    }
    const result = [...groups.values()].filter((group) => group.width > 0);
    if (item === this.root) result.push(...this.rests);
    return (item.kids = result.sort((a, b) => b.width - a.width));
  }

  width(item) {
    return item.width;
  }

  fill(item) {
    return item.fill;
  }

  extra(item) {
    return item.extra;
  }

  classOf(item) {
    return item.cls;
  }

  parent(item) {
    return item.parent;
  }

  frame(item) {
    return item.frame;
  }

  label(item, longest) {
    if (item === this.root) return "everything";
    if (item.frame === -1) return "no stack";
    if (item.frame <= -2) return this.model.nodeLabel(this.model.realNodes - 2 - item.frame, longest);
    return this.model.frameLabel(item.frame, longest);
  }

  key(item) {
    const parts = [];
    for (let at = item; at.parent; at = at.parent) parts.push(at.frame);
    return parts.reverse().join(".");
  }

  find(key) {
    let item = this.root;
    for (const part of key ? key.split(".") : []) {
      const next = this.children(item).find((child) => String(child.frame) === part);
      if (!next) break;
      item = next;
    }
    return item;
  }
}
