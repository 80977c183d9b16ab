// The classic canvas draws no label on text boxes; Nodes 2.0 does.
import { app } from "../../../scripts/app.js";
import { inputOptions, isOurs } from "./nodes.js";

const GAP = "1.6em";

function labelled(widget, example) {
  const label = widget.label || widget.name;
  const { element } = widget;
  element.setAttribute("aria-label", label);
  element.placeholder = example || "";
  // A picture of the label: it stays when there is text, and moves no other part of the node.
  const text = label.replace(/[<&]/g, (char) => `&#${char.charCodeAt(0)};`);
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="${GAP}" font-size="10" ` +
    `font-family="sans-serif" fill="#888"><text x="2" y="11">${text}</text></svg>`;
  // not "background", which would remove the box's color
  element.style.backgroundImage = `url("data:image/svg+xml,${encodeURIComponent(svg)}")`;
  element.style.backgroundRepeat = "no-repeat";
  element.style.paddingTop = GAP;
}

app.registerExtension({
  name: "MMAudio.TextLabels",
  nodeCreated(node) {
    if (!isOurs(node)) return;
    const options = inputOptions(node);
    for (const widget of node.widgets ?? []) {
      if (widget.element?.tagName === "TEXTAREA") labelled(widget, options[widget.name]?.placeholder);
    }
  },
});
