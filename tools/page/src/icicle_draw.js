// Draws an icicle into a canvas: rows of boxes, the callers' above. Returns the boxes, for pointers
// and keys. What is narrower than half a pixel is drawn as one box with its neighbours.

export const ROW = 22;
const DEEPEST = 400;
const NARROWEST = 0.7;

// Boxes of the tree below `top`: {item, x, width, depth, count}; item null: several small ones.
export function layOut(tree, top, pixels) {
  const boxes = [];
  const whole = tree.width(top);
  if (!(whole > 0)) return boxes;
  const scale = pixels / whole;
  const waiting = [{ item: top, x: 0, width: pixels, depth: 0 }];
  while (waiting.length) {
    const box = waiting.pop();
    boxes.push(box);
    if (box.depth >= DEEPEST || box.item === null) continue;
    let x = box.x;
    const kids = tree.children(box.item);
    for (let i = 0; i < kids.length; i++) {
      const width = tree.width(kids[i]) * scale;
      if (width < NARROWEST) {
        let rest = 0;
        for (let k = i; k < kids.length; k++) rest += tree.width(kids[k]);
        if (rest * scale >= NARROWEST)
          boxes.push({ item: null, x, width: rest * scale, depth: box.depth + 1, count: kids.length - i, bytes: rest, parent: box.item });
        break;
      }
      waiting.push({ item: kids[i], x, width, depth: box.depth + 1 });
      x += width;
    }
  }
  return boxes;
}

// looks(item): {mid, pale}; fills of the part in RAM and of what is only reserved.
export function draw(context, boxes, { tree, looks, ink, faint, font, chosen, focused, matches }) {
  context.font = font;
  const letter = context.measureText("n").width || 7;
  context.textBaseline = "middle";
  for (const box of boxes) {
    const y = box.depth * ROW;
    const width = Math.max(box.width - (box.width > 3 ? 1 : 0), NARROWEST);
    if (box.item === null) {
      context.fillStyle = faint;
      context.fillRect(box.x, y, width, ROW - 1);
      if (width > 70) label(context, `… ${box.count} smaller`, box.x, y, { width, ink, letter });
      continue;
    }
    const dim = matches && !matches(box.item);
    context.globalAlpha = dim ? 0.35 : 1;
    looks(box, context, y, width);
    context.globalAlpha = dim ? 0.55 : 1;
    if (width > 26) label(context, tree.label(box.item, 200), box.x, y, { width, ink, letter });
    context.globalAlpha = 1;
  }
  for (const box of boxes) if (box.item !== null && (box.item === chosen || box.item === focused)) outline(context, box, ink);
}

function outline(context, box, ink) {
  context.strokeStyle = ink;
  context.lineWidth = 2;
  context.strokeRect(box.x + 1, box.depth * ROW + 1, Math.max(box.width - 3, 1), ROW - 3);
}

function label(context, text, x, y, { width, ink, letter }) {
  const room = width - 10;
  context.fillStyle = ink;
  const fit = Math.floor(room / letter);
  if (fit < 2) return;
  const shown = text.length > fit ? `${text.slice(0, Math.max(fit - 1, 1))}…` : text;
  context.fillText(shown, x + 6, y + ROW / 2);
}

export function depthOf(boxes) {
  return boxes.reduce((most, box) => Math.max(most, box.depth), 0) + 1;
}
