// The curves of a training run, live inside the node that trains.
import { Chart } from "./lib/chart.js";
import { api, app } from "./lib/host.js";
import { CURVES, legend, statusText } from "./lib/layout.js";
import { addPanel, element, executionIds } from "./lib/panel.js";
import { emptyRun, mergeMessage, short } from "./lib/series.js";

const NODE = "CoInteractTrainLora";
const NAME_WIDGET = "name";
const EVENT = "cointeract.training";
const ROUTE = "/cointeract/training";
const HEIGHT = 330;
const WIDTH = 420; // of a new node
const LOOK_EVERY = 1000; // milliseconds: for a changed name, and for a run whose messages go to another tab
const SILENCE = 2500;

/** Panels of nodes that are in a graph. @type {Set<TrainingPanel>} */
const panels = new Set();

class TrainingPanel {
  constructor(node) {
    this.node = node;
    this.run = emptyRun();
    this.problem = "";
    this.heard = 0;
    const hidden = CURVES.filter(({ shown }) => !shown).map(({ name }) => name);
    this.view = { hidden: new Set(hidden), log: false, smooth: true };
    this.chart = new Chart(this.view);
    this.legend = element("div", "legend");
    this.legend.setAttribute("role", "group");
    this.legend.setAttribute("aria-label", "curves");
    this.status = element("div", "status");
    this.status.setAttribute("role", "status");
    const content = element("div");
    content.append(this.chart.content, this.legend, this.status);
    addPanel(node, "training_curves", content, { height: HEIGHT, start: () => this.start(), stop: () => this.stop() });
    this.show();
  }

  /** Name of the run this node would start. */
  get name() {
    return String(this.node.widgets?.find(({ name }) => name === NAME_WIDGET)?.value ?? "").trim();
  }

  /** Whether the name comes through a link, so that the widget does not tell it. */
  get linked() {
    const { node } = this;
    return node.inputs?.some(({ name }, slot) => name === NAME_WIDGET && node.isInputConnected(slot)) ?? false;
  }

  start() {
    panels.add(this);
    this.chart.start();
    this.timer ??= setInterval(() => this.look(), LOOK_EVERY);
  }

  stop() {
    panels.delete(this);
    this.chart.stop();
    clearInterval(this.timer);
    this.timer = undefined;
  }

  /** Ask where the name is another one, and where a running run has been silent: a step is long, or it is not ours. */
  look() {
    if (document.hidden) return;
    const silent = this.run.state === "running" && Date.now() - this.heard > SILENCE;
    if (silent || (!this.linked && this.name !== this.asked)) this.ask();
  }

  concerns(message) {
    if (!this.linked) return message.run === this.name;
    return executionIds(this.node).includes(String(message.node));
  }

  take(message) {
    this.heard = Date.now();
    this.problem = "";
    const joined = mergeMessage(this.run, message);
    if (joined === null) {
      this.ask(message.run);
      return;
    }
    this.asked = this.name;
    this.run = joined;
    this.show();
  }

  /** Fetch everything known of a run. */
  async ask(run = this.linked ? this.run.run : this.name) {
    this.heard = Date.now(); // so that a slow answer is not asked for twice
    this.asked = this.name;
    let answer = { ...emptyRun(), run, after: 0 };
    if (run) answer = await fetchSnapshot(run);
    if (answer === null || (!this.linked && run !== this.name)) return; // the server is away, or the name has changed
    this.problem = answer.error ?? "";
    this.run = answer.error ? emptyRun() : mergeMessage(emptyRun(), answer);
    this.show();
  }

  show() {
    this.chart.show(this.run);
    this.status.textContent = statusText(this.run, this.problem);
    this.status.classList.toggle("problem", this.problem !== "" || this.run.state === "failed");
    this.showLegend();
  }

  /** Buttons are made anew only where other curves came, for a press must not lose its button. */
  showLegend() {
    const curves = legend(this.run);
    const names = curves.map(({ name }) => name).join();
    if (names !== this.names) {
      this.names = names;
      this.values = new Map(curves.map(({ name }) => [name, element("span", "value")]));
      this.legend.replaceChildren(
        ...curves.map((curve) => this.curveButton(curve)),
        ...(curves.length ? [this.switchButton("log"), this.switchButton("smooth")] : []),
      );
    }
    for (const { name, latest } of curves) this.values.get(name).textContent = short(latest);
  }

  curveButton({ name, label }) {
    const { hidden } = this.view;
    const flip = () => (hidden.has(name) ? hidden.delete(name) : hidden.add(name));
    const made = this.button(label, () => !hidden.has(name), flip);
    made.dataset.curve = name;
    made.append(" ", this.values.get(name));
    return made;
  }

  switchButton(name) {
    const flip = () => {
      this.view[name] = !this.view[name];
    };
    const made = this.button(name, () => this.view[name], flip);
    made.dataset.view = name;
    return made;
  }

  button(text, pressed, flip) {
    const made = element("button", "", text);
    made.type = "button";
    made.setAttribute("aria-pressed", String(pressed()));
    made.addEventListener("click", () => {
      flip();
      made.setAttribute("aria-pressed", String(pressed()));
      this.chart.schedule();
    });
    return made;
  }
}

/** A run's snapshot, or null where the server cannot be reached. */
async function fetchSnapshot(run) {
  try {
    const answer = await api.fetchApi(`${ROUTE}?run=${encodeURIComponent(run)}`);
    return answer.ok ? await answer.json() : null;
  } catch (error) {
    if (error instanceof TypeError || error instanceof SyntaxError) return null; // as fetch and json reject
    throw error;
  }
}

const askAll = () => panels.forEach((panel) => panel.ask());

// Here and not in `setup`: after a reload during a run, messages come before it, and one nobody listens to is an error.
api.addEventListener(EVENT, ({ detail }) => {
  for (const panel of panels) if (panel.concerns(detail)) panel.take(detail);
});
api.addEventListener("reconnected", askAll);
api.addEventListener("status", () => {
  for (const panel of panels) if (Date.now() - panel.heard > SILENCE) panel.ask(); // another tab's run began or ended
});

app.registerExtension({
  name: "cointeract.training",
  nodeCreated(node) {
    if (node.comfyClass !== NODE) return;
    node.cointeractCurves = new TrainingPanel(node);
    const [width, height] = node.computeSize();
    // a workflow that is opened sets its own size afterwards
    node.setSize([Math.max(width, node.size[0], WIDTH), Math.max(height, node.size[1])]);
  },
  afterConfigureGraph: askAll,
});
