// One way to put HTML into a node, for the classic canvas and for Vue nodes alike.
import { app } from "./host.js";

const style = document.createElement("link");
style.rel = "stylesheet";
style.href = new URL("../cointeract.css", import.meta.url).href;
document.head.append(style);

/** Make an element. */
export function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** Let `then` run after a method of one node; the method keeps its result. */
export function after(node, method, then) {
  const before = node[method];
  node[method] = function (...values) {
    const result = before?.apply(this, values);
    then.apply(this, values);
    return result;
  };
}

/**
 * @param {any} node
 * @param {string} name  of the widget that holds the panel
 * @param {HTMLElement} content
 * @param {{height: number, start: () => void, stop: () => void}} options  `start` and `stop`: the node came into a
 *   graph or left it, also when it moves into a subgraph
 */
export function addPanel(node, name, content, { height, start, stop }) {
  // without widget-expands, Vue rows of older pages do not grow with the node; their height is that of the content
  content.classList.add("cointeract-panel", "widget-expands");
  content.style.minHeight = `${height - 10}px`;
  keepEvents(content);
  const widget = node.addDOMWidget(name, `cointeract_${name}`, content, {
    serialize: false, // not in the prompt
    hideOnZoom: false,
    margin: 4,
    getMinHeight: () => height,
  });
  widget.serialize = false; // not in the workflow file
  after(node, "onAdded", start);
  after(node, "onRemoved", stop);
  start();
  return widget;
}

/** Keep what is meant for the panel from the graph behind it, and give the wheel to the graph. */
function keepEvents(content) {
  const stop = (event) => event.stopPropagation();
  content.addEventListener("dblclick", stop);
  content.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") event.stopPropagation(); // they press a button here
  });
  for (const type of ["pointerdown", "pointermove", "pointerup"]) {
    content.addEventListener(type, (event) => {
      const middle = event.button === 1 || event.buttons & 4; // the middle button moves the graph
      if (!middle) event.stopPropagation(); // else Vue drags the node
    });
  }
  content.addEventListener(
    "wheel",
    (event) => {
      if (globalThis.LiteGraph?.vueNodesMode) return; // there the event bubbles to the graph
      event.preventDefault();
      app.canvas.processMouseWheel(event);
    },
    { passive: false },
  );
}

/** Ids under which the server may run a node: "5", or "12:5" in a subgraph; several where that is used twice. */
export function executionIds(node, graph = app.rootGraph ?? app.graph, prefix = "") {
  return (graph?.nodes ?? graph?._nodes ?? []).flatMap((other) => [
    ...(other === node ? [`${prefix}${other.id}`] : []),
    ...(other.subgraph ? executionIds(node, other.subgraph, `${prefix}${other.id}:`) : []),
  ]);
}
