// Frames of the report's JSON: which of a stack are shown, and how each is written.
import { clip } from "./safe_text.js";

const base = (path) => path.slice(path.lastIndexOf("/") + 1);

// places: of the frames that the text report shows; none: the first four as they are.
export function shownFrames(frames, places) {
  const chosen = (places ?? []).map((place) => frames[place]).filter(Boolean);
  return chosen.length ? chosen : frames.slice(0, 4);
}

// As the text report writes it.
export function frameLabel({ function: name, file, line, module, module_offset: offset, address }) {
  const shown = name ?? (module ? `${base(module)}+${offset}` : address);
  return clip(file && line ? `${shown} ${base(file)}:${line}` : shown);
}
