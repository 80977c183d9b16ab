// What nodes tell stands on them as long as it holds: the error that ended their last run, or the
// notices in its output. ComfyUI's own text on a node is lost in a subgraph and at a reload.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { isOurs, nodeOf, rootGraph } from "./nodes.js";

const WIDGET = "mmaudio_told";
const MAX_HEIGHT = 160; // px; what is longer scrolls
const MARGIN = 10; // px; of the classic canvas around such a widget
const GAP = 8; // px; at most, that Nodes 2.0 adds above such a widget
const RECENT = 16; // prompts of the history in which the open graph is looked for
const CHANGED_BY_PAGE = /^((noise_)?seed|video-preview)$/; // inputs that it changes after a run
const CHANGED_BY_CHOICE = /^((noise_)?seed|video-preview|take)$/; // the takes are the same
const NONE = { text: "", isError: false };

const failed = new Set(); // nodes that tell an error
const told = new WeakMap(); // node -> its height before it told something, and how high the text is
const graphs = new Map(); // prompt -> id of the graph that was queued, for those queued on this page
let answered = Promise.resolve(); // once ComfyUI has accepted or refused all that was queued
let handled = Promise.resolve(); // once all events so far are
let running; // the last prompt that began
let prompts = 0; // begun since the page was opened
const restored = []; // what others do with the outputs of the last run

function box(text, isError) {
  const element = document.createElement("div");
  element.className = "mmaudio-told";
  element.setAttribute("role", isError ? "alert" : "note");
  element.style.cssText =
    "box-sizing: border-box; overflow-y: auto; padding: 4px 8px; border-radius: 4px; " +
    "font: 11px/1.4 sans-serif; white-space: pre-wrap; overflow-wrap: anywhere; " +
    `user-select: text; cursor: auto; max-height: ${MAX_HEIGHT}px; ` +
    "background: var(--comfy-input-bg); color: var(--input-text); " +
    `border-left: 3px solid ${isError ? "#c03030" : "#c09030"}`;
  for (const part of text.split(/(https?:\/\/\S+[^\s.,;:)])/)) {
    if (!/^https?:/.test(part)) {
      element.append(part);
      continue;
    }
    const link = document.createElement("a");
    Object.assign(link, { href: part, textContent: part, target: "_blank", rel: "noopener" });
    element.append(link);
  }
  // else the canvas drags the node instead of selecting text, and zooms instead of scrolling
  for (const kind of ["pointerdown", "mousedown", "dblclick", "contextmenu"])
    element.addEventListener(kind, (event) => event.stopPropagation());
  element.addEventListener("wheel", (event) => {
    if (element.scrollHeight > element.clientHeight) event.stopPropagation();
  });
  return element;
}

// The height of the text in a node of this width; the element itself may not be drawn yet.
function heightOf(element, width) {
  const copy = element.cloneNode(true);
  copy.style.cssText += `; position: absolute; visibility: hidden; width: ${width}px; height: auto`;
  document.body.append(copy);
  const height = copy.offsetHeight;
  copy.remove();
  return height;
}

// The height of a node without its text, however the user has changed it since.
function heightWithout(node, { before, height }) {
  return Math.max(before, node.size[1] - height() - GAP);
}

// Nodes of another tab have the same ids: what is told of a prompt is for the graph that it was made of.
function noteGraphs() {
  const { queuePrompt } = api;
  api.queuePrompt = function (number, prompt, ...options) {
    const answer = queuePrompt.call(this, number, prompt, ...options);
    const noted = answer.then(({ prompt_id }) => graphs.set(prompt_id, prompt?.workflow?.id));
    answered = Promise.allSettled([answered, noted]);
    return answer;
  };
}

// ComfyUI may send the first events of a prompt before it answers that it has accepted it. Between two
// events Nodes 2.0 has to draw: it takes a text that is removed and added again for the same one.
export function listen(kind, handle) {
  api.addEventListener(kind, ({ detail }) => {
    const prompt = detail?.prompt_id ?? running;
    handled = handled.then(async () => {
      await answered;
      const graph = graphs.get(prompt);
      if (graph !== undefined && graph !== rootGraph().id) return;
      handle(detail);
      await new Promise((done) => setTimeout(done));
    });
  });
}

export function tell(node, { text, isError }) {
  if (!node) return;
  const shown = node.widgets?.find((widget) => widget.name === WIDGET);
  if (!text && !shown) return;
  const before = shown ? heightWithout(node, told.get(node)) : node.size[1];
  if (shown) node.removeWidget(shown);
  told.delete(node);
  if (isError) failed.add(node);
  else failed.delete(node);
  if (text) {
    const element = box(text, isError);
    const height = () => heightOf(element, node.size[0] - 2 * MARGIN) + 2 * MARGIN;
    const widget = node.addDOMWidget(WIDGET, WIDGET, element, {
      serialize: false,
      hideOnZoom: false,
      getMinHeight: height,
      getMaxHeight: height,
    });
    widget.serialize = false;
    told.set(node, { before, height });
  }
  const [width, needed] = node.computeSize();
  node.setSize([Math.max(node.size[0], width), Math.max(before, needed)]);
  node.setDirtyCanvas?.(true, true);
}

// Call `show` with a node and its output in the last run of a graph that was loaded again.
export function onRestore(show) {
  restored.push(show);
}

function tellNotices(node, output) {
  // nothing in the output: a node without notices at all
  if (output?.text) tell(node, { text: grouped(output.text).join("\n"), isError: false });
}

// Notices of a node that ran for each item of a list, of which all but the first say which it is: one
// for all items that have it.
function grouped(notices) {
  const items = new Map();
  for (const notice of notices) {
    const [, item = "1", text] = /^(?:Item (\d+): )?(.*)$/s.exec(notice);
    items.set(text, (items.get(text) ?? new Set()).add(item));
  }
  const isList = notices.some((notice) => /^Item \d+: /.test(notice));
  return [...items].map(([text, of]) => {
    if (!isList) return text;
    return `${of.size > 1 ? "Items" : "Item"} ${[...of].join(", ")}: ${text}`;
  });
}

function tellError({ node_id, exception_message, exception_type }) {
  tell(nodeOf(node_id), { text: exception_message.trim() || exception_type, isError: true });
}

// Whether a node and all that it depends on are now as they were in an earlier prompt. What the page
// itself changes after a run does not count: seeds, and the widgets of previews.
function unchanged(id, was, is, ignored) {
  const [before, now] = [was[id], is[id]];
  if (!before || before.class_type !== now?.class_type) return false;
  return Object.keys({ ...before.inputs, ...now.inputs }).every((name) => {
    const [a, b] = [before.inputs[name], now.inputs[name]];
    const linked = Array.isArray(a) || Array.isArray(b);
    if (!linked && (a === undefined || b === undefined || ignored.test(name))) return true;
    return JSON.stringify(a) === JSON.stringify(b) && (!linked || unchanged(a[0], was, is, ignored));
  });
}

// What the last run of the open graph told, after it was loaded again: not of nodes that have changed,
// as in a template that is opened anew.
async function restore() {
  const graph = rootGraph();
  const queued = prompts;
  if (!graph.id || !graph.nodes.length) return;
  const answer = await api.fetchApi(`/history?max_items=${RECENT}`);
  if (!answer.ok) return;
  const entries = Object.values(await answer.json()).reverse();
  const last = entries.find(({ prompt }) => prompt[3]?.extra_pnginfo?.workflow?.id === graph.id);
  if (!last) return;
  const { output: now } = await app.graphToPrompt();
  if (prompts !== queued || rootGraph() !== graph) return;
  const holds = (id, ignored = CHANGED_BY_PAGE) => unchanged(id, last.prompt[2], now, ignored);
  for (const [id, output] of Object.entries(last.outputs)) {
    if (holds(id)) tellNotices(nodeOf(id), output);
    if (holds(id, CHANGED_BY_CHOICE)) for (const show of restored) show(nodeOf(id), output);
  }
  for (const [kind, detail] of last.status?.messages ?? [])
    if (kind === "execution_error" && holds(detail.node_id)) tellError(detail);
}

app.registerExtension({
  name: "MMAudio.NodeTexts",
  nodeCreated(node) {
    if (!isOurs(node)) return;
    // a text is not part of the graph, and neither is the room that it takes
    const { onSerialize } = node;
    node.onSerialize = function (saved) {
      onSerialize?.call(this, saved);
      if (told.has(this)) saved.size = [saved.size[0], heightWithout(this, told.get(this))];
    };
  },
  setup() {
    noteGraphs();
    api.addEventListener("execution_start", ({ detail }) => {
      running = detail.prompt_id;
      prompts++;
    });
    listen("executing", (id) => {
      if (id) tell(nodeOf(id), NONE);
    });
    listen("execution_error", tellError);
    // what failed need not run again: it may be cached now, or another node may fail before it
    listen("execution_start", () => {
      for (const node of failed) if (node.graph) tell(node, NONE);
      failed.clear();
    });
    // of a node that ran, once for all items of a list, and (not by ComfyUI 0.8.0) of a cached one
    listen("executed", ({ node, display_node, output }) => {
      tellNotices(nodeOf(display_node ?? node), output);
    });
  },
  afterConfigureGraph() {
    void restore(); // the graph does not wait for it
  },
});
