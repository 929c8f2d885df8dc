// Width and height are shown only where the size is custom; likewise the other fields of `RULES`.
//
// ComfyUI's own DynamicCombo could do that, but it changes what is saved: the fields would be called size.width in API
// prompts and stand in another place among a workflow's values, and that differently from version to version. Here
// they stay ordinary widgets that keep their names, places and values; only the page does not show them.
import { RULES, idleFields, isAtLeast } from "./lib/choices.js";
import { app } from "./lib/host.js";
import { after } from "./lib/panel.js";

const GAP = 4; // between two widgets
// Vue nodes of older pages keep what they saw when a link was made: a field hidden then could not be had again.
const VUE_LOOKS_AGAIN = isAtLeast(globalThis.__COMFYUI_FRONTEND_VERSION__, "1.36");

/** Show the fields that count now, and no others. */
function update(node, rules) {
  const values = Object.fromEntries(node.widgets.map(({ name, value }) => [name, value]));
  const linked = (node.inputs ?? []).filter((_, slot) => node.isInputConnected(slot));
  const idle = idleFields(rules, values, new Set(linked.map(({ name, widget }) => widget?.name ?? name)));
  let changed = false;
  for (const widget of node.widgets.filter(({ name }) => name in rules)) {
    const hidden = idle.has(widget.name);
    if (hidden !== Boolean(widget.hidden)) {
      hide(widget, hidden);
      changed = true;
    }
  }
  if (changed) redraw(node);
}

function hide(widget, hidden) {
  widget.hidden = hidden; // for the classic canvas
  if (VUE_LOOKS_AGAIN) widget.options.hidden = hidden; // for Vue nodes
  if (hidden) widget.computeSize = () => [0, -GAP]; // older canvases leave a hole otherwise
  else delete widget.computeSize;
}

function redraw(node) {
  node.widgets.push(node.widgets.pop()); // some Vue nodes look again only where the list itself changes
  const least = node.computeSize()[1];
  if (node.size[1] < least) node.setSize([node.size[0], least]);
  node.graph?.setDirtyCanvas(true, true);
}

app.registerExtension({
  name: "cointeract.choices",
  nodeCreated(node) {
    const rules = RULES[node.comfyClass];
    if (!rules) return;
    const look = () => update(node, rules);
    const choices = new Set(Object.values(rules).map(({ choice }) => choice));
    for (const widget of node.widgets.filter(({ name }) => choices.has(name))) after(widget, "callback", look);
    after(node, "onConfigure", look); // a workflow was opened, or a step undone
    after(node, "onConnectionsChange", look);
    look();
    node.setSize([node.size[0], node.computeSize()[1]]); // a workflow that is opened sets its own size afterwards
  },
});
