// The panel in which takes are heard against the picture, and one is kept. Nothing depends on it: the
// choice lies in the node's own inputs.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { listen, onRestore } from "./node_texts.js";
import { nodeOf, widgetOf } from "./nodes.js";
import { TakeView } from "./take_view.js";

const NODES = new Set(["MuxAudioVideo", "MMAudioTakes"]);
const WIDGET = "mmaudio_takes";
const GONE = "The takes of the last run are no longer on disk. Run again to hear them.";

const REMOVED_MS = 1000; // after which what is not shown is let go
const BEFORE_RUN = "Run to hear the takes.";

const views = new WeakMap(); // node -> its TakeView
let inApp = new Set(); // ids of the nodes whose panel stands in the App of the graph that is opened

function fileUrl({ filename, subfolder, type }) {
  return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
}

function viewOf(node) {
  const known = views.get(node);
  if (known) return known;
  const view = new TakeView(node, {
    fileUrl,
    spectrogramUrl: ({ file }) => api.apiURL(`/mmaudio_takes/${file.filename.split(".")[0]}.png`),
  });
  views.set(node, view);
  const widget = node.addDOMWidget(WIDGET, WIDGET, view.element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => view.height,
    getMaxHeight: () => view.height,
  });
  widget.serialize = false;
  widget.label = "takes";
  const { onRemoved } = node;
  node.onRemoved = function () {
    view.pause();
    setTimeout(() => {
      if (view.element.isConnected) return; // an App still shows it
      view.end();
      views.delete(node);
    }, REMOVED_MS);
    onRemoved?.call(this);
  };
  return view;
}

function resize(node) {
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width, 360), Math.max(node.size[1], height)]);
  node.setDirtyCanvas?.(true, true);
}

function show(node, data) {
  const view = viewOf(node);
  view.show(data);
  resize(node);
}

// The takes in an output of one of the nodes that have a panel.
function takesIn(node, output) {
  return NODES.has(node?.constructor.nodeData.name) ? output?.mmaudio_takes?.[0] : undefined;
}

// What was shown before the page was loaded again, if it is still there.
async function restore(node, data) {
  const answer = await fetch(fileUrl(data.takes[0].file), { method: "HEAD" });
  if (views.get(node)?.data) return; // it ran meanwhile
  if (answer.ok) show(node, data);
  else {
    viewOf(node).tell(GONE);
    resize(node);
  }
}

app.registerExtension({
  name: "MMAudio.TakePanel",
  setup() {
    listen("executed", ({ node, display_node, output }) => {
      const target = nodeOf(display_node ?? node);
      const data = takesIn(target, output);
      if (data) show(target, data);
    });
    onRestore((node, output) => {
      const data = takesIn(node, output);
      if (data) void restore(node, data);
    });
  },
  beforeConfigureGraph(graph) {
    const inputs = graph?.extra?.linearData?.inputs ?? [];
    inApp = new Set(inputs.filter((input) => input[1] === WIDGET).map((input) => String(input[0])));
  },
  loadedGraphNode(node) {
    // an App shows the widgets that are there when it is opened
    if (inApp.has(String(node.id)) && NODES.has(node.constructor.nodeData?.name))
      viewOf(node).tell(BEFORE_RUN);
  },
  nodeCreated(node) {
    if (!NODES.has(node.constructor.nodeData?.name)) return;
    // the choice may be made in the widget, too
    const widget = widgetOf(node, "take");
    if (!widget) return;
    const { callback } = widget;
    widget.callback = function (...values) {
      callback?.apply(this, values);
      views.get(node)?.showKept();
    };
  },
});
