// Two traces in one page: their call sites in pairs, their stacks in one tree.
import { css, pattern, sides } from "./colors.js";
import { figure, h } from "./dom.js";
import { bytes, change } from "./format.js";
import { ROW } from "./icicle_draw.js";
import { Model } from "./model.js";
import { state } from "./state.js";

const base = (path) => path.slice(path.lastIndexOf("/") + 1);

// Frames, stacks and classes of both traces, once each; one site for each pair.
class Merger {
  constructor(models, pairs) {
    this.models = models;
    this.raw = { strings: [""], frames: { function: [], file: [], line: [], module: [], address: [], inlined: [] }, nodes: { parent: [0], frame: [-1] }, classes: [], snapshots: [], sites: { node: [], class: [] }, report_snapshot: 0 };
    this.strings = new Map([["", 0]]);
    this.frames = new Map();
    this.nodes = new Map();
    for (const model of models) for (const name of model.classes) if (!this.raw.classes.includes(name)) this.raw.classes.push(name);
    const places = models.map((model) => this.mergeNodes(model));
    for (const [a, b] of pairs) {
      const side = b.length ? 1 : 0;
      const { sites, classes } = models[side];
      const i = side ? b[0] : a[0];
      this.raw.sites.node.push(places[side][sites.node[i]]);
      this.raw.sites.class.push(this.raw.classes.indexOf(classes[sites.class[i]]));
    }
  }

  string(text) {
    if (!this.strings.has(text)) {
      this.strings.set(text, this.raw.strings.length);
      this.raw.strings.push(text);
    }
    return this.strings.get(text);
  }

  // The same function is the same frame, also where its line moved; without a name, the same place.
  frame(model, index) {
    const { name, module, line, file } = model.describe(index);
    const { frames, strings } = model.raw;
    const named = frames.function[index] !== 0;
    const key = named ? `${name}\n${base(file)}\n${base(module)}` : `\n${name}\n${base(module)}`;
    if (!this.frames.has(key)) {
      const into = this.raw.frames;
      this.frames.set(key, into.function.length);
      into.function.push(this.string(strings[frames.function[index]]));
      into.file.push(this.string(file));
      into.line.push(line);
      into.module.push(this.string(module));
      into.address.push(frames.address[index]);
      into.inlined.push(frames.inlined[index]);
    }
    return this.frames.get(key);
  }

  mergeNodes(model) {
    const place = new Int32Array(model.realNodes);
    const frames = Array.from({ length: model.raw.frames.function.length }, (_, i) => this.frame(model, i));
    const { nodes } = this.raw;
    for (let i = 1; i < model.realNodes; i++) {
      const up = place[model.parent[i]];
      const frame = frames[model.frame[i]];
      const key = up * 2 ** 24 + frame;
      if (!this.nodes.has(key)) {
        this.nodes.set(key, nodes.parent.length);
        nodes.parent.push(up);
        nodes.frame.push(frame);
      }
      place[i] = this.nodes.get(key);
    }
    return place;
  }
}

export class Diff {
  constructor(models, raw) {
    this.models = models;
    // A pair has the rows of both sides that are one call site; a side may have none.
    this.pairs = raw.pairs.filter(([a, b]) => a.length || b.length);
    this.merged = new Model(new Merger(models, this.pairs).raw);
  }

  at(side) {
    return side ? state.at : state.before;
  }

  // A pair's figure before (0) or after (1), at the chosen moments.
  value(i, side, name) {
    const figures = this.models[side].figures(this.at(side))[name];
    return this.pairs[i][side].reduce((sum, site) => sum + figures[site], 0);
  }

  classValue(name, side, figureName) {
    const model = this.models[side];
    const index = model.classIndex(name);
    return index < 0 ? 0 : (model.classFigures(this.at(side))[figureName][index] ?? 0);
  }

  // For the icicle's trees: fill is before, extra is after.
  values(name) {
    const total = this.pairs.length;
    const [a, b] = [0, 1].map((side) => Float64Array.from({ length: total }, (_, i) => this.value(i, side, name)));
    const width = a.map((value, i) => Math.max(value, b[i]));
    const rests = this.merged.classes.map((className) => {
      const [before, after] = this.models.map((model, side) => {
        const index = model.classIndex(className);
        return index < 0 ? 0 : model.rest(this.at(side), name, index);
      });
      return { width: Math.max(before, after), fill: before, extra: after };
    });
    return { width, fill: a, extra: b, rests };
  }

  // -- rows of the table ------------------------------------------------------------------------

  brief(i) {
    const [a, b] = this.pairs[i];
    const side = b.length ? 1 : 0;
    const model = this.models[side];
    const index = side ? b[0] : a[0];
    return { model, index, side, node: model.sites.node[index], className: model.classes[model.sites.class[index]] ?? "" };
  }

  site(i) {
    const brief = this.brief(i);
    const { model, index, node } = brief;
    return { ...brief, frames: model.stack(node), kind: model.sites.kind[index], estimate: !!model.sites.estimate[index] };
  }

  columns() {
    const cell = (get, signed) => (i) => figure(get(i), { signed, estimate: this.site(i).estimate && get(i) !== 0 });
    const of = (side, name) => (i) => this.value(i, side, name);
    const delta = (name) => (i) => this.value(i, 1, name) - this.value(i, 0, name);
    const column = (key, title, hint, get, signed = false) => ({ key, csv: `${key}_bytes`, title, hint, get, cell: cell(get, signed) });
    return [
      column("change", "RAM change", "in RAM: after less before", delta("committed"), true),
      column("before", "RAM before", "in RAM in the first trace", of(0, "committed")),
      column("after", "RAM after", "in RAM in the second trace", of(1, "committed")),
      column("reserved_change", "Reserved change", "reserved: after less before", delta("reserved"), true),
      column("reserved_before", "Reserved before", "reserved in the first trace", of(0, "reserved")),
      column("reserved_after", "Reserved after", "reserved in the second trace", of(1, "reserved")),
    ];
  }

  // -- the icicle -------------------------------------------------------------------------------

  looks(tree) {
    const tones = sides();
    let hatched = null;
    return (box, context, y, width) => {
      const whole = tree.width(box.item);
      const before = tree.fill(box.item);
      const after = tree.extra(box.item);
      const per = width / whole;
      const same = Math.max(before + after - whole, 0) * per;
      const more = Math.max(whole - before, 0) * per;
      hatched ??= pattern(context, tones.less, 1, css("--hatch"));
      if (after === 0) {
        context.strokeStyle = tones.before;
        context.lineWidth = 1.5;
        context.setLineDash([4, 3]);
        if (width > 3) context.strokeRect(box.x + 1, y + 1, width - 2, ROW - 3);
        else context.fillStyle = tones.before, context.fillRect(box.x, y, width, ROW - 1);
        context.setLineDash([]);
        return;
      }
      context.fillStyle = tones.same;
      context.fillRect(box.x, y, same, ROW - 1);
      context.fillStyle = tones.more;
      context.fillRect(box.x + same, y, more, ROW - 1);
      context.fillStyle = hatched;
      context.fillRect(box.x + same + more, y, Math.max(width - same - more, 0), ROW - 1);
    };
  }

  describe(tree, item) {
    const before = tree.fill(item);
    const after = tree.extra(item);
    return [tree.label(item, 400), `${bytes(before)} before, ${bytes(after)} after: ${change(after - before)}`, after === 0 ? "vanished" : before === 0 ? "new" : ""];
  }

  legend() {
    const key = (name, text) => h("span", { class: "legend-entry" }, h("span", { class: `key key-${name}` }), text);
    return h("span", { class: "legend" }, key("same", "as before"), key("more", "more now"), key("less", "less now"), key("gone", "vanished"));
  }
}
