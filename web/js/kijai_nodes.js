// The nodes of kijai/ComfyUI-MMAudio in a saved workflow.
export const LOADER = "MMAudioModelLoader";
export const SAMPLER = "MMAudioSampler";

// A workflow of that pack that is not converted; the message says why.
export class LeftAlone extends Error {}

export function leftAlone(converter, why, { type }) {
  const node = converter.table.nodes[type].title;
  throw new LeftAlone(converter.say("unknown", { why: converter.say(why, { node }) }));
}

// Whether a saved node is of that pack: its sampler has our id, and other inputs.
export function isTheirs({ type, inputs, properties }, { nodes, packs }) {
  if (!Object.hasOwn(nodes, type)) return false;
  if (type !== SAMPLER) return true;
  const has = (name) => inputs?.some?.((one) => one?.name === name);
  if (has("mmaudio") || has("features")) return false;
  const pack = [properties?.cnr_id, properties?.aux_id].some((one) => packs.includes(one));
  return has("mmaudio_model") || has("feature_utils") || pack;
}

// The values of a saved node by name; undefined if they are not those that the pack saves.
export function valuesOf({ type, widgets_values: saved }, { nodes }) {
  const widgets = Object.entries(nodes[type].widgets);
  if (Array.isArray(saved) && saved.length !== widgets.length) return undefined;
  const values = {};
  for (const [index, [name, kind]] of widgets.entries()) {
    const value = Array.isArray(saved) ? saved[index] : saved?.[name];
    if (typeof value !== kind) return undefined;
    values[name] = value;
  }
  return values;
}

// Throws LeftAlone unless all of a graph is known: mixed with no node of ours, with the values that the
// pack saves, and with models that go nowhere else.
export function checkKnown(found, converter) {
  const { table, graphs } = converter;
  const nodes = new Set(found.map(({ node }) => node));
  for (const graph of graphs.all)
    for (const node of graph.nodes)
      if (!nodes.has(node) && converter.ours(node.type)) throw new LeftAlone(converter.say("mixed"));
  const grouped = JSON.stringify(graphs.root.data.extra?.groupNodes ?? {});
  for (const type of Object.keys(table.nodes))
    if (grouped.includes(`"${type}"`)) leftAlone(converter, "why_hidden", { type });
  for (const { graph, node } of found) {
    if (!valuesOf(node, table)) leftAlone(converter, "why_values", node);
    const { links, widgets } = table.nodes[node.type];
    for (const { name, link } of node.inputs ?? []) {
      if (link == null || name in links) continue;
      if (!(name in widgets) || ![LOADER, SAMPLER].includes(node.type))
        leftAlone(converter, "why_values", node);
    }
    for (const [name, type] of Object.entries(links)) {
      if (type === "IMAGE") continue;
      for (const { node: source } of graphs.origins(graph, graph.linkOf(node, name)))
        if (!nodes.has(source) || table.nodes[source.type].output !== type)
          leftAlone(converter, "why_model", node);
    }
  }
  for (const graph of graphs.all)
    for (const link of graph.links.values()) {
      const target = graph.node(link.target_id);
      if (!target || nodes.has(target) || graphs.passes(target)) continue;
      for (const { node } of graphs.origins(graph, link))
        if (nodes.has(node) && node.type !== SAMPLER) leftAlone(converter, "why_link", node);
    }
}
