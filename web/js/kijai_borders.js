// What surrounds the nodes of kijai/ComfyUI-MMAudio in a saved workflow, once they are ours.
export const OURS = { MMAUDIO_MODEL: "MMAUDIO" }; // types of links that stay

function retype(slot) {
  const type = OURS[slot.type];
  if (!type) return;
  if (slot.name === slot.type) slot.name = type;
  slot.type = type;
}

// Links, and slots of subgraphs, reroutes, Set and Get nodes: of models, and of what is gone.
export function retypeBorders(graphs, gone) {
  for (const { links } of graphs.all)
    for (const link of links.values()) link.type = OURS[link.type] ?? link.type;
  for (const graph of graphs.all)
    for (const node of graph.nodes)
      if (graphs.passes(node))
        for (const slot of [...(node.inputs ?? []), ...(node.outputs ?? [])]) retype(slot);
  for (const graph of graphs.subgraphs.values())
    for (const kind of ["inputs", "outputs"]) {
      const slots = graph.data[kind] ?? [];
      slots.forEach(retype);
      for (let index = slots.length - 1; index >= 0; index--) {
        if (!gone.includes(slots[index].type)) continue;
        for (const { outer, node } of graphs.instances(graph)) {
          const own = node[kind]?.findIndex((one) => one.name === slots[index].name) ?? -1;
          if (own >= 0) outer.removeSlot(node, kind, own);
        }
        graph.removeBorderSlot(kind, index);
      }
    }
}

// Widgets that subgraphs and apps show outside.
export function renameWidgets(graphs, renamed) {
  const moved = (id, list) =>
    list.flatMap(([node, name, ...more]) => {
      const key = `${id} ${node} ${name}`;
      if (!renamed.has(key)) return [[node, name, ...more]];
      const to = renamed.get(key);
      return to ? [[String(to[0]), to[1], ...more]] : [];
    });
  for (const graph of graphs.all)
    for (const { properties, type } of graph.nodes)
      if (Array.isArray(properties?.proxyWidgets))
        properties.proxyWidgets = moved(type, properties.proxyWidgets);
  const { data } = graphs.root;
  const inputs = data.extra?.linearData?.inputs;
  if (Array.isArray(inputs)) data.extra.linearData.inputs = moved(data.id, inputs);
}
