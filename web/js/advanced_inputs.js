// Nodes 2.0 folds the inputs that the schema marks as advanced. The classic canvas looks at the widget,
// and keeps the room of what it folds unless the widget is hidden as well.
import { app } from "../../../scripts/app.js";
import { inputOptions, isOurs } from "./nodes.js";

const ALWAYS = "Comfy.Node.AlwaysShowAdvancedWidgets";

function fold(node, widget) {
  const shown = () =>
    app.extensionManager?.setting.get(ALWAYS) ||
    node.inputs?.some((input) => input.widget?.name === widget.name && input.link != null);
  const vueNodes = () => window.LiteGraph.vueNodesMode;
  Object.defineProperties(widget, {
    advanced: { get: () => !shown(), set() {}, configurable: true },
    hidden: {
      get: () => !vueNodes() && !node.showAdvanced && !shown(),
      set() {},
      configurable: true,
    },
  });
}

app.registerExtension({
  name: "MMAudio.AdvancedInputs",
  nodeCreated(node) {
    if (!isOurs(node)) return;
    const options = inputOptions(node);
    const advanced = (node.widgets ?? []).filter((widget) => options[widget.name]?.advanced);
    if (!advanced.length) return;
    for (const widget of advanced) fold(node, widget);
    node.setSize(node.computeSize());

    // "Show Advanced" in the menu of the classic canvas makes the node grow, but not shrink again
    const toggleAdvanced = node.toggleAdvanced;
    let folded;
    node.toggleAdvanced = function () {
      if (!this.showAdvanced) folded = this.size[1];
      toggleAdvanced.call(this);
      if (!this.showAdvanced)
        this.setSize([this.size[0], Math.max(folded ?? 0, this.computeSize()[1])]);
    };
  },
});
