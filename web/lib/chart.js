// Draws what layout.js has placed, as SVG: sharp at every zoom, coloured by the style sheet.
import { description, layout, valuesAt } from "./layout.js";
import { element } from "./panel.js";
import { emptyRun, short } from "./series.js";

const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.textContent = text;
  return made;
}

const rounded = (path) => path.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");

export class Chart {
  /** @param {{hidden: Set<string>, log: boolean, smooth: boolean}} view */
  constructor(view) {
    this.view = view;
    this.run = emptyRun();
    this.content = element("div", "plot");
    this.picture = svg("svg", { role: "img" });
    this.grid = svg("g", { class: "grid" });
    this.lines = svg("g", { class: "lines" });
    this.marker = svg("line", { class: "marker" });
    this.tip = element("div", "tip");
    this.tip.hidden = true;
    this.picture.append(this.grid, this.lines, this.marker);
    this.content.append(this.picture, this.tip);
    this.sizes = new ResizeObserver(() => this.schedule());
    this.content.addEventListener("pointermove", (event) => this.point(event));
    this.content.addEventListener("pointerleave", () => this.unpoint());
  }

  start() {
    this.sizes.observe(this.content);
  }

  stop() {
    this.sizes.disconnect();
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  show(run) {
    this.run = run;
    this.schedule();
  }

  schedule() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.content; // before the zoom of the graph
    if (!width || !height) return;
    this.unpoint();
    this.picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.picture.setAttribute("aria-label", description(this.run));
    this.placed = layout(this.run, this.view, width, height);
    const { frame, across, left, right, lines } = this.placed;
    const empty = lines.length === 0;
    this.grid.replaceChildren(
      ...(left.length ? left : right).map(({ y }) => svg("line", { x1: frame.left, x2: frame.right, y1: y, y2: y })),
      ...left.map(({ y, text }) => svg("text", { x: frame.left - 6, y, class: "left" }, text)),
      ...right.map(({ y, text }) => svg("text", { x: frame.right + 6, y, class: "right" }, text)),
      ...(empty ? [] : across).map(({ x, text }) => svg("text", { x, y: height - 4, class: "across" }, text)),
      ...(empty ? [svg("text", { x: width / 2, y: height / 2, class: "across" }, "no values yet")] : []),
    );
    this.lines.replaceChildren(...lines.flatMap((line) => this.drawLine(line)));
  }

  drawLine({ name, faint, dots, path }) {
    const line = svg("polyline", { points: rounded(path), class: faint ? "faint" : "", "data-curve": name });
    const circles = dots ? path.map(([x, y]) => svg("circle", { cx: x, cy: y, r: 2, "data-curve": name })) : [];
    return [line, ...circles];
  }

  /** Show the values below the pointer. */
  point(event) {
    const box = this.content.getBoundingClientRect(); // after the zoom
    if (!this.placed || !box.width) return;
    const place = ((event.clientX - box.left) / box.width) * this.content.clientWidth;
    const found = valuesAt(this.run, this.view, this.placed.stepAt(place));
    if (!found) return;
    const { frame, x } = this.placed;
    const at = x(found.step);
    for (const [name, value] of Object.entries({ x1: at, x2: at, y1: frame.top, y2: frame.bottom })) {
      this.marker.setAttribute(name, String(value));
    }
    this.marker.classList.add("shown");
    const rows = found.values.map(({ name, label, value }) => {
      const row = element("div", "value", `${label} ${short(value)}`);
      row.dataset.curve = name;
      return row;
    });
    this.tip.replaceChildren(element("div", "step", `step ${found.step}`), ...rows);
    this.tip.hidden = false;
    this.tip.classList.toggle("on-left", at > (frame.left + frame.right) / 2);
  }

  unpoint() {
    this.tip.hidden = true;
    this.marker.classList.remove("shown");
  }
}
