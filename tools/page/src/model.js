// One trace's data, with what the views ask of it: names, stacks, figures at a moment.
import { clip } from "./safe_text.js";

export const FIGURES = ["committed", "reserved", "never_touched", "swapped", "live"];

const base = (path) => path.slice(path.lastIndexOf("/") + 1);

export class Model {
  constructor(raw) {
    this.raw = raw;
    this.classes = raw.classes;
    this.snapshots = raw.snapshots;
    this.sites = raw.sites;
    this.siteCount = raw.sites.node.length;
    this.realNodes = raw.nodes.parent.length;
    this.addRests();
    this.link();
    this.names = new Array(raw.frames.function.length);
    this.cached = null;
  }

  // Memory of a class that no call site has gets a node of its own below the root, one a class.
  addRests() {
    const { parent, frame } = this.raw.nodes;
    const total = this.realNodes + this.classes.length;
    this.parent = new Int32Array(total);
    this.frame = new Int32Array(total);
    this.parent.set(parent);
    this.frame.set(frame);
    for (let i = 0; i < this.classes.length; i++) this.frame[this.realNodes + i] = -2 - i;
    this.raw.nodes = null;
  }

  link() {
    const total = this.parent.length;
    this.firstChild = new Int32Array(total).fill(-1);
    this.nextSibling = new Int32Array(total).fill(-1);
    for (let i = total - 1; i > 0; i--) {
      this.nextSibling[i] = this.firstChild[this.parent[i]];
      this.firstChild[this.parent[i]] = i;
    }
  }

  // -- names ------------------------------------------------------------------------------------

  // What a frame is called: {name, place, module, text}; text is what a search looks into.
  describe(frame) {
    return (this.names[frame] ??= this.makeName(frame));
  }

  makeName(frame) {
    const { frames, strings } = this.raw;
    const name = strings[frames.function[frame]];
    const file = strings[frames.file[frame]];
    const module = strings[frames.module[frame]];
    const line = frames.line[frame];
    const place = file ? base(file) + (line ? `:${line}` : "") : "";
    const shown = name || [base(module), frames.address[frame]].filter(Boolean).join("+") || "no name";
    return { name: shown, place, file, line, module, inlined: !!frames.inlined[frame] };
  }

  frameText(frame) {
    const { name, file, line, module } = this.describe(frame);
    return `${name} ${file}${line ? `:${line}` : ""} ${module}`;
  }

  // Where a frame lies, in full.
  frameWhere(frame) {
    const { file, line, module } = this.describe(frame);
    return clip([file && file + (line ? `:${line}` : ""), module].filter(Boolean).join(" in "), 300);
  }

  nodeLabel(node, longest = 160) {
    const frame = this.frame[node];
    if (node === 0) return "everything";
    if (frame <= -2) return `${this.classes[-2 - frame]}: no call site`;
    if (frame < 0) return "no stack";
    return this.frameLabel(frame, longest);
  }

  frameLabel(frame, longest = 160) {
    const { name, place } = this.describe(frame);
    return clip(place ? `${name} ${place}` : name, longest);
  }

  // Frames of a stack, innermost first.
  stack(node) {
    const result = [];
    for (let at = node; at > 0; at = this.parent[at]) if (this.frame[at] >= 0) result.push(this.frame[at]);
    return result;
  }

  // The frames of a row that the text report shows: the one that decided, then its callers.
  shown(rows, i) {
    const frames = this.stack(rows.node[i]);
    const places = rows.shown?.[i] ?? [];
    const chosen = places.map((place) => frames[place]).filter((frame) => frame !== undefined);
    return chosen.length ? chosen : frames.slice(0, 4);
  }

  siteLabel(i, longest = 160) {
    const [frame] = this.shown(this.sites, i);
    return frame === undefined ? this.nodeLabel(this.sites.node[i], longest) : this.frameLabel(frame, longest);
  }

  // -- figures ----------------------------------------------------------------------------------

  snapshotAt(at) {
    const index = at ?? this.raw.report_snapshot;
    return index >= 0 && index < this.snapshots.length ? index : this.raw.report_snapshot;
  }

  // The index of the snapshot nearest to a time.
  nearest(timeNs) {
    let best = 0;
    this.snapshots.forEach((snapshot, i) => {
      if (Math.abs(snapshot.time_ns - timeNs) < Math.abs(this.snapshots[best].time_ns - timeNs)) best = i;
    });
    return best;
  }

  // Every site's figures at a snapshot, by site: {committed: Float64Array, …}.
  figures(at) {
    const index = this.snapshotAt(at);
    if (this.cached?.index === index) return this.cached.figures;
    const rows = this.snapshots[index].sites;
    const figures = {};
    for (const name of FIGURES) {
      const dense = new Float64Array(this.siteCount);
      const from = rows[name];
      if (from) for (let i = 0; i < rows.site.length; i++) dense[rows.site[i]] = from[i];
      figures[name] = dense;
    }
    this.cached = { index, figures };
    return figures;
  }

  // What a class has at a snapshot, without a site.
  rest(at, figure, classIndex) {
    return this.snapshots[this.snapshotAt(at)].rest?.[figure]?.[classIndex] ?? 0;
  }

  // Whether the moment has the figures of call sites: of very many they are kept for some alone.
  hasSites(at) {
    return this.snapshots[this.snapshotAt(at)].has_sites;
  }

  classFigures(at) {
    return this.snapshots[this.snapshotAt(at)].classes;
  }

  classIndex(name) {
    return name ? this.classes.indexOf(name) : -1;
  }

  // For each node, whether the place `zoom` is it or an ancestor.
  below(zoom) {
    const inside = new Uint8Array(this.parent.length);
    inside[zoom] = 1;
    for (let i = zoom + 1; i < inside.length; i++) if (inside[this.parent[i]] && this.parent[i] >= zoom) inside[i] = 1;
    return inside;
  }
}
