// Names come from a trace, which nobody vouches for. What could reorder or hide other text of the
// page is shown as its code; what is too long for a line loses its middle.

// Controls, marks of direction, invisible characters, separators of lines, halves of characters.
const UNSAFE =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\p{Surrogate}/gu;

export function safe(text) {
  return String(text ?? "").replace(UNSAFE, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

export function clip(text, longest = 160) {
  if (text.length <= longest) return safe(text);
  const half = (longest - 1) >> 1;
  return safe(`${text.slice(0, half)}…${text.slice(text.length - half)}`);
}
