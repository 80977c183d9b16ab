// The nodes of this pack on the page, and the inputs of their schema.
import { app } from "../../../scripts/app.js";

export function isOurs(node) {
  return /MMAudio|^MuxAudioVideo$/.test(node?.constructor.nodeData?.name ?? "");
}

// Name -> options.
export function inputOptions(node) {
  const { required, optional } = node.constructor.nodeData.input ?? {};
  const inputs = Object.entries({ ...required, ...optional });
  return Object.fromEntries(inputs.map(([name, input]) => [name, input?.[1] ?? {}]));
}

export function rootGraph() {
  return app.rootGraph ?? app.graph;
}

// One of our nodes; those in subgraphs have the ids of all subgraphs around them: "12:3".
export function nodeOf(executionId) {
  let graph = rootGraph();
  let node;
  for (const id of String(executionId).split(":")) {
    node = graph?.getNodeById(Number(id));
    graph = node?.subgraph;
  }
  return isOurs(node) ? node : undefined;
}

// The widget of that name.
export function widgetOf(node, name) {
  return node.widgets?.find((widget) => widget.name === name);
}

// Let the page keep the graph as it is now, for undo and for a reload, as after a click on the canvas.
export function noteChange() {
  const tracker = app.extensionManager?.workflow?.activeWorkflow?.changeTracker;
  (tracker?.captureCanvasState ?? tracker?.checkState)?.call(tracker); // the latter: ComfyUI 0.8.0
}
