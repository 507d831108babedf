// The small box beside the pointer. What it says can be read elsewhere too: it is hidden from screen
// readers.
import { h } from "./dom.js";
import { safe } from "./safe_text.js";

export class Tip {
  constructor() {
    this.element = h("div", { class: "tip", "aria-hidden": "true", hidden: true });
  }

  show(event, lines) {
    this.element.replaceChildren(...lines.filter(Boolean).map((line) => h("div", {}, safe(line))));
    this.element.hidden = false;
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const x = Math.max(8, Math.min(event.clientX + 14, innerWidth - width - 12));
    const y = event.clientY + 18 + height > innerHeight ? event.clientY - height - 12 : event.clientY + 18;
    this.element.style.setProperty("transform", `translate(${x}px, ${Math.max(y, 4)}px)`);
  }

  hide() {
    this.element.hidden = true;
  }
}
