// What nodes say (an error, or the notices in their output) stands on them as long as it holds.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

const WIDGET = "$$node-text-preview"; // the page's own text on a node, where the server writes too
const failed = new WeakSet(); // nodes whose text is an error, which no cached result has

// Nodes in subgraphs have the ids of all subgraphs around them: "12:3".
function nodeOf(executionId) {
  let graph = app.rootGraph ?? app.graph;
  let node;
  for (const id of String(executionId).split(":")) {
    node = graph?.getNodeById(Number(id));
    graph = node?.subgraph;
  }
  return isOurs(node) ? node : undefined;
}

function isOurs(node) {
  return /MMAudio|^MuxAudioVideo$/.test(node?.constructor.nodeData?.name ?? "");
}

// As the page's removeTextPreview, which it calls for no node of a pack.
function removeText(node) {
  const index = node?.widgets?.findIndex((widget) => widget.name === WIDGET) ?? -1;
  if (index < 0) return;
  node.widgets[index].onRemove?.();
  node.widgets.splice(index, 1);
  failed.delete(node);
  node.setDirtyCanvas?.(true, true);
}

app.registerExtension({
  name: "MMAudio.NodeTexts",
  setup() {
    api.addEventListener("executing", ({ detail }) => {
      if (detail) removeText(nodeOf(detail.display_node ?? detail.node ?? detail));
    });
    api.addEventListener("execution_error", ({ detail }) => {
      const node = nodeOf(detail.node_id);
      if (node) failed.add(node);
    });
    api.addEventListener("execution_cached", ({ detail }) => {
      for (const node of detail.nodes.map(nodeOf)) if (failed.has(node)) removeText(node);
    });
    // of a node that ran, once for all items of a list, and (not by ComfyUI 0.8.0) of a cached one
    api.addEventListener("executed", ({ detail }) => {
      const node = nodeOf(detail.display_node ?? detail.node);
      const notices = detail.output?.text;
      if (!node || !notices) return;
      removeText(node);
      if (!notices.length) return;
      const told = { nodeId: String(detail.display_node ?? detail.node), text: notices.join("\n") };
      api.dispatchCustomEvent("progress_text", told);
    });
  },
});
