// A graph as it is saved, or the definition of a subgraph in it: its nodes, and its links in one form,
// whichever of the two the file has. Changes keep both ends of a link and its reroutes in step.
export const INPUTS = -10; // ids of the borders of a subgraph
export const OUTPUTS = -20;

function without(list, id) {
  return (list ?? []).filter((one) => one !== id);
}

export class SavedGraph {
  constructor(data) {
    this.data = data;
    this.nodes = data.nodes;
    const parents = new Map((data.extra?.linkExtensions ?? []).map((one) => [one.id, one.parentId]));
    this.links = new Map();
    for (const link of data.links ?? []) {
      if (!link) continue;
      const [id, origin_id, origin_slot, target_id, target_slot, type] = Array.isArray(link) ? link : [];
      const parentId = parents.get(id);
      const one = Array.isArray(link)
        ? { id, origin_id, origin_slot, target_id, target_slot, type, parentId }
        : { ...link };
      this.links.set(one.id, one);
    }
  }

  get reroutes() {
    return this.data.reroutes ?? this.data.extra?.reroutes ?? [];
  }

  node(id) {
    return this.nodes.find((one) => String(one.id) === String(id));
  }

  // The link of a node's input.
  linkOf(node, name) {
    return this.links.get(node.inputs?.find((one) => one.name === name)?.link);
  }

  #target({ target_id, target_slot }) {
    return target_id === OUTPUTS
      ? this.data.outputs?.[target_slot]
      : this.node(target_id)?.inputs?.[target_slot];
  }

  #origin({ origin_id, origin_slot }) {
    return origin_id === INPUTS
      ? this.data.inputs?.[origin_slot]
      : this.node(origin_id)?.outputs?.[origin_slot];
  }

  add(id, { origin_id, origin_slot, parentId }, node, name, type) {
    const target_slot = node.inputs.findIndex((one) => one.name === name);
    const link = { id, origin_id, origin_slot, target_id: node.id, target_slot, type, parentId };
    this.links.set(id, link);
    node.inputs[target_slot].link = id;
    const origin = this.#origin(link);
    if (origin_id === INPUTS) origin.linkIds = [...(origin.linkIds ?? []), id];
    else origin.links = [...(origin.links ?? []), id];
    for (let reroute, next = parentId; next !== undefined; next = reroute?.parentId) {
      reroute = this.reroutes.find((one) => one.id === next);
      if (reroute) reroute.linkIds = [...(reroute.linkIds ?? []), id];
    }
  }

  // Ends a link at another input; the node that it ended at is changed by the caller.
  retarget(link, node, name) {
    link.target_id = node.id;
    link.target_slot = node.inputs.findIndex((one) => one.name === name);
    node.inputs[link.target_slot].link = link.id;
  }

  remove(link) {
    const { id } = link;
    this.links.delete(id);
    const [origin, target] = [this.#origin(link), this.#target(link)];
    if (origin?.linkIds) origin.linkIds = without(origin.linkIds, id);
    if (origin?.links) origin.links = without(origin.links, id);
    if (target?.linkIds) target.linkIds = without(target.linkIds, id);
    else if (target?.link === id) target.link = null;
    for (const reroute of this.reroutes) reroute.linkIds = without(reroute.linkIds, id);
  }

  removeNode(node) {
    for (const link of [...this.links.values()])
      if ([link.origin_id, link.target_id].some((id) => String(id) === String(node.id)))
        this.remove(link);
    this.nodes.splice(this.nodes.indexOf(node), 1);
  }

  // Removes an input or output of a node: those behind it move up.
  removeSlot(node, kind, index) {
    const [id, slot] = kind === "inputs" ? ["target_id", "target_slot"] : ["origin_id", "origin_slot"];
    const attached = [...this.links.values()].filter((one) => String(one[id]) === String(node.id));
    for (const link of attached) if (link[slot] === index) this.remove(link);
    for (const link of attached) if (link[slot] > index) link[slot]--;
    node[kind].splice(index, 1);
  }

  // The same of the subgraph itself, seen from within.
  removeBorderSlot(kind, index) {
    const [id, slot, border] =
      kind === "inputs" ? ["origin_id", "origin_slot", INPUTS] : ["target_id", "target_slot", OUTPUTS];
    const attached = [...this.links.values()].filter((one) => one[id] === border);
    for (const link of attached) if (link[slot] === index) this.remove(link);
    for (const link of attached) if (link[slot] > index) link[slot]--;
    this.data[kind].splice(index, 1);
  }

  // Writes the links back in the form that they had.
  save() {
    const { data } = this;
    const arrays = data.links?.some(Array.isArray) || data.version === 0.4;
    const links = [...this.links.values()];
    data.links = links.map((one) =>
      arrays
        ? [one.id, one.origin_id, one.origin_slot, one.target_id, one.target_slot, one.type]
        : one,
    );
    if (arrays && data.extra?.linkExtensions)
      data.extra.linkExtensions = links
        .filter((one) => one.parentId !== undefined)
        .map(({ id, parentId }) => ({ id, parentId }));
    const used = this.reroutes.filter((one) => one.linkIds?.length || one.floating);
    if (data.reroutes) data.reroutes = used;
    else if (data.extra?.reroutes) data.extra.reroutes = used;
  }
}

// The graph of a file and the subgraphs in it: what lies behind reroutes, Set and Get nodes, and the
// borders of subgraphs.
export class SavedGraphs {
  constructor(data) {
    this.root = new SavedGraph(data);
    const definitions = data.definitions?.subgraphs ?? [];
    this.subgraphs = new Map(definitions.map((one) => [one.id, new SavedGraph(one)]));
    this.all = [this.root, ...this.subgraphs.values()];
    const ids = (key, own) => [
      ...this.all.flatMap(own),
      ...this.all.map(({ data: one }) => one.state?.[key]),
    ];
    const last = (all) => Math.max(0, ...all.map(Number).filter(Number.isFinite));
    this.lastNode = last([...ids("lastNodeId", ({ nodes }) => nodes.map(({ id }) => id)), data.last_node_id]);
    this.lastLink = last([...ids("lastLinkId", ({ links }) => [...links.keys()]), data.last_link_id]);
  }

  // The nodes that stand for a subgraph, each with the graph that it is in.
  instances(graph) {
    return this.all.flatMap((outer) =>
      outer.nodes.filter((node) => node.type === graph.data.id).map((node) => ({ outer, node })),
    );
  }

  passes(node) {
    return ["Reroute", "SetNode", "GetNode"].includes(node?.type) || this.subgraphs.has(node?.type);
  }

  // The outputs that a link comes from: graph, node and slot.
  origins(graph, link, seen = new Set()) {
    if (!link || seen.has(link)) return [];
    seen.add(link);
    const { origin_id, origin_slot: slot } = link;
    if (origin_id === INPUTS) {
      const name = graph.data.inputs?.[slot]?.name;
      return this.instances(graph).flatMap(({ outer, node }) =>
        this.origins(outer, outer.linkOf(node, name), seen),
      );
    }
    const node = graph.node(origin_id);
    if (!node) return [];
    const inner = this.subgraphs.get(node.type);
    if (inner) {
      const name = node.outputs?.[slot]?.name;
      const output = inner.data.outputs?.find((one) => one.name === name);
      return (output?.linkIds ?? []).flatMap((id) => this.origins(inner, inner.links.get(id), seen));
    }
    if (!this.passes(node)) return [{ graph, node, slot }];
    return this.origins(graph, this.into(graph, node), seen);
  }

  // The link that goes into a reroute, or into the Set node of a Get node.
  into(graph, node) {
    const named = (one) => one.type === "SetNode" && one.widgets_values?.[0] === node.widgets_values?.[0];
    const source = node.type === "GetNode" ? graph.nodes.find(named) : node;
    return graph.links.get(source?.inputs?.[0]?.link);
  }

  save() {
    for (const graph of this.all) {
      graph.save();
      if (!graph.data.state) continue;
      graph.data.state.lastNodeId = this.lastNode;
      graph.data.state.lastLinkId = this.lastLink;
    }
    const { data } = this.root;
    if ("last_node_id" in data) data.last_node_id = this.lastNode;
    if ("last_link_id" in data) data.last_link_id = this.lastLink;
  }
}
