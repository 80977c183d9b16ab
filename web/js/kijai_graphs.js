// Workflows of kijai/ComfyUI-MMAudio are converted before the page builds them.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { Converter } from "./kijai_convert.js";
import { isTheirs, LeftAlone } from "./kijai_nodes.js";
import { tell } from "./node_texts.js";

const EXTRACT = "MMAudioFeatureExtract";
const LIFE = 60_000; // ms that a notice stays, if it is not closed

let asked = []; // nodes of the graph that is being opened whose frame_rate only the user knows
const loading = fetch(new URL("../kijai.json", import.meta.url)).then((answer) => {
  if (!answer.ok) throw new Error(`${answer.status} for ${answer.url}`);
  return answer.json();
});
loading.catch((error) => console.warn("MMAudio: kijai.json:", error));

function nodeData(type) {
  return window.LiteGraph.registered_node_types[type]?.nodeData;
}

function isOurType(type) {
  const pack = nodeData(EXTRACT)?.python_module;
  return pack !== undefined && nodeData(type)?.python_module === pack;
}

function notify(severity, detail) {
  app.extensionManager?.toast?.add({ severity, summary: "MMAudio", detail, life: LIFE });
}

// Changes a saved graph, whole or not at all; returns what to tell of it.
function convert(graphData, table) {
  const copy = structuredClone(graphData);
  const create = (type) => window.LiteGraph.createNode(type);
  const converter = new Converter(table, copy, create, isOurType);
  converter.convert();
  for (const key of Object.keys(copy)) graphData[key] = copy[key];
  asked = converter.asked.map((one) => ({ ...one, text: converter.say("rate") }));
  return converter.notices;
}

function nodesOf(graphData) {
  const subgraphs = graphData?.definitions?.subgraphs;
  const graphs = [graphData, ...(Array.isArray(subgraphs) ? subgraphs : [])];
  return graphs.flatMap((graph) => (Array.isArray(graph?.nodes) ? graph.nodes : []));
}

// An API prompt that is opened in the page has no hook: the server, which converts those that are sent,
// is asked before.
async function toOurs(prompt) {
  const theirs = Object.values(prompt ?? {}).some((node) => /^MMAudio/.test(node?.class_type));
  if (!theirs) return prompt;
  try {
    const body = JSON.stringify(prompt);
    const headers = { "Content-Type": "application/json" };
    const answer = await api.fetchApi("/mmaudio_kijai", { method: "POST", headers, body });
    const { prompt: ours, notices } = await answer.json();
    if (notices.length) notify(ours ? "info" : "warn", notices.join("\n"));
    return ours ?? prompt;
  } catch (error) {
    console.warn("MMAudio:", error);
    return prompt;
  }
}

app.registerExtension({
  name: "MMAudio.KijaiGraphs",
  setup() {
    const { loadApiJson } = app;
    app.loadApiJson = async function (prompt, ...more) {
      return loadApiJson.call(this, await toOurs(prompt), ...more);
    };
  },
  async beforeConfigureGraph(graphData) {
    asked = [];
    const nodes = nodesOf(graphData).filter((node) => /^MMAudio/.test(node?.type));
    if (!nodes.length || !isOurType("MMAudioSampler")) return; // else theirs is installed, and used
    let table;
    try {
      table = await loading;
      if (nodes.some((node) => isTheirs(node, table)))
        notify("info", convert(graphData, table).join("\n"));
    } catch (error) {
      if (!table) return;
      const known = error instanceof LeftAlone;
      if (!known) console.warn("MMAudio:", error);
      notify("warn", known ? error.message : table.says.failed.replace("{why}", error.message));
    }
  },
  afterConfigureGraph() {
    const root = app.rootGraph ?? app.graph;
    for (const { graph, node, text } of asked) {
      const within = graph === null ? root : root.subgraphs?.get(graph);
      const found = within?.getNodeById(node);
      if (found?.addDOMWidget) tell(found, { text, isError: false });
    }
    asked = [];
  },
});
