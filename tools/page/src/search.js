// The search: a regular expression over functions, files and modules. A site is found when any frame
// of its stack is.
import { state } from "./state.js";

// null where the text is no regular expression, {regexp: null} where it is empty.
export function compile(text) {
  if (!text) return { regexp: null };
  try {
    return { regexp: new RegExp(text, /\p{Lu}/u.test(text) ? "u" : "iu") };
  } catch {
    return null;
  }
}

export class Search {
  constructor(model) {
    this.model = model;
    this.text = "";
    this.found = null;
  }

  // {frames, nodes}: what matches state.q; null: all does.
  matches() {
    if (state.q === this.text) return this.found;
    this.text = state.q;
    const regexp = compile(state.q)?.regexp;
    return (this.found = regexp ? this.run(regexp) : null);
  }

  run(regexp) {
    const { model } = this;
    const frames = new Uint8Array(model.names.length);
    for (let i = 0; i < frames.length; i++) frames[i] = regexp.test(model.frameText(i)) ? 1 : 0;
    const nodes = new Uint8Array(model.parent.length);
    for (let i = 1; i < nodes.length; i++) nodes[i] = nodes[model.parent[i]] || (model.frame[i] >= 0 && frames[model.frame[i]]) ? 1 : 0;
    return { frames, nodes, node: (tree, item) => tree.frame(item) >= 0 && frames[tree.frame(item)] === 1 };
  }
}
