// Nodes 2.0 folds inputs that the schema marks as advanced; the classic canvas looks at the widget.
import { app } from "../../../scripts/app.js";

app.registerExtension({
  name: "MMAudio.AdvancedInputs",
  nodeCreated(node) {
    const definition = node.constructor.nodeData;
    if (!/MMAudio|^MuxAudioVideo$/.test(definition?.name ?? "")) return;
    const inputs = { ...definition.input?.required, ...definition.input?.optional };
    const advanced = (node.widgets ?? []).filter((widget) => inputs[widget.name]?.[1]?.advanced);
    if (!advanced.length) return;
    for (const widget of advanced) widget.advanced = true;
    node.setSize(node.computeSize());
  },
});
