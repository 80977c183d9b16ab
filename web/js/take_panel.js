// The panel in which takes are heard against the picture, and one is kept. Nothing depends on it: the
// choice lies in the node's own inputs.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { listen, onRestore } from "./node_texts.js";
import { nodeOf, noteChange, widgetOf } from "./nodes.js";
import { TakeView } from "./take_view.js";

const NODES = new Set(["MuxAudioVideo", "MMAudioTakes"]);
const WIDGET = "mmaudio_takes";
const GONE = "The takes of the last run are no longer on disk. Run again to hear them.";

const REMOVED_MS = 1000; // after which what is not shown is let go
const BEFORE_RUN = "Run to hear the takes.";
const WIDTH = 360; // px, at least
const MARGIN = 10; // px; of the classic canvas around such a widget

const views = new WeakMap(); // node -> its TakeView
let inApp = new Set(); // ids of the nodes whose panel stands in the App of the graph that is opened

function fileUrl({ filename, subfolder, type }) {
  return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
}

function viewOf(node) {
  const known = views.get(node);
  if (known) return known;
  let height = 0; // that the node has made room for
  const view = new TakeView(node, {
    fileUrl,
    spectrogramUrl: ({ file }) => api.apiURL(`/mmaudio_takes/${file.filename.split(".")[0]}.png`),
    onHeight: () => {
      resize(node, height && view.height - height);
      height = view.height;
    },
  });
  views.set(node, view);
  const room = () => view.height + (window.LiteGraph.vueNodesMode ? 0 : 2 * MARGIN);
  const widget = node.addDOMWidget(WIDGET, WIDGET, view.element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: room,
    getMaxHeight: room,
  });
  widget.serialize = false;
  widget.label = "takes";
  const { onRemoved } = node;
  node.onRemoved = function () {
    view.pause();
    setTimeout(() => {
      if (view.element.isConnected) return; // an App still shows it
      view.dispose();
      views.delete(node);
    }, REMOVED_MS);
    onRemoved?.call(this);
  };
  return view;
}

// Make room for the panel, which has become higher by `growth`.
function resize(node, growth = 0) {
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width, WIDTH), Math.max(node.size[1] + growth, height)]);
  node.setDirtyCanvas?.(true, true);
}

// `items`: what there is to show, an entry for each item of a list that the node ran for.
function show(node, items) {
  const view = viewOf(node);
  const names = items.map(({ name }, index) => (name ? `${index + 1}: ${name}` : `${index + 1}`));
  const showItem = (index) => {
    node.properties[WIDGET] = index; // kept with the graph
    noteChange();
    view.show(items[index], names, index);
  };
  view.onItem = showItem;
  const last = node.properties[WIDGET];
  if (last in items) view.show(items[last], names, last);
  else view.show(items[0], names, 0);
  resize(node);
}

// What an output of one of the nodes that have a panel has to show; undefined if there is nothing.
function takesIn(node, output) {
  const items = NODES.has(node?.constructor.nodeData?.name) ? output?.mmaudio_takes : undefined;
  return items?.length ? items : undefined;
}

// What was shown before the page was loaded again, if it is still there.
async function restore(node, items) {
  const answer = await fetch(fileUrl(items[0].takes[0].file), { method: "HEAD" });
  if (views.get(node)?.data) return; // it ran meanwhile
  if (answer.ok) show(node, items);
  else {
    viewOf(node).tell(GONE);
    node.setSize([node.size[0], node.computeSize()[1]]); // it was saved with room for the takes
    node.setDirtyCanvas?.(true, true);
  }
}

app.registerExtension({
  name: "MMAudio.TakePanel",
  setup() {
    listen("executed", ({ node, display_node, output }) => {
      const target = nodeOf(display_node ?? node);
      const items = takesIn(target, output);
      if (items) show(target, items);
    });
    onRestore((node, output) => {
      const items = takesIn(node, output);
      if (items) void restore(node, items);
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
    // the panel plays the file that was saved, too: a second player of it is one too many
    const { onExecuted } = node;
    node.onExecuted = function (output) {
      this.hideOutputImages = Boolean(takesIn(this, output));
      onExecuted?.apply(this, arguments);
    };
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
