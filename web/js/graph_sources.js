// Where the inputs of nodes come from: across the borders of subgraphs, and through nodes that only stand
// for others (reroutes, Set and Get).
import { rootGraph } from "./nodes.js";

const INPUTS = -10; // id of the node in a subgraph that stands for its inputs

// The nearest node of that type among those that `node` depends on, itself left out.
export function findAbove(node, type) {
  const seen = new Set([node]);
  let level = [node];
  while (level.length) {
    const above = level.flatMap(sourcesOf).filter((source) => !seen.has(source));
    for (const source of above) seen.add(source);
    const found = above.find((source) => typeOf(source) === type);
    if (found) return found;
    level = [...new Set(above)];
  }
  return undefined;
}

// The nodes that a node's inputs are linked to.
function sourcesOf(node) {
  const links = (node.inputs ?? []).map(({ link }) => linkOf(node.graph, link));
  return links.flatMap((link) => originsOf(node.graph, link));
}

function originsOf(graph, link) {
  if (!link) return [];
  if (Number(link.origin_id) === INPUTS) {
    // every node that stands for this subgraph: which one is meant is not known in it
    return instancesOf(graph).flatMap((node) => {
      const outer = linkOf(node.graph, node.inputs?.[link.origin_slot]?.link);
      return originsOf(node.graph, outer);
    });
  }
  const source = graph.getNodeById(link.origin_id);
  if (!source) return [];
  if (source.subgraph) {
    const [inner] = source.subgraph.outputs?.[link.origin_slot]?.linkIds ?? [];
    return originsOf(source.subgraph, linkOf(source.subgraph, inner));
  }
  if (source.isVirtualNode && !source.inputs?.length) {
    const stood = source.resolveVirtualOutput?.(link.origin_slot)?.node;
    return stood ? [stood] : originsOf(graph, source.getInputLink?.(link.origin_slot));
  }
  return [source];
}

function linkOf(graph, id) {
  if (id === null || id === undefined) return undefined;
  return graph?.getLink?.(id) ?? graph?.links?.[id];
}

function instancesOf(subgraph) {
  const root = rootGraph();
  const graphs = [root, ...(root.subgraphs?.values() ?? [])];
  return graphs.flatMap((graph) => graph.nodes.filter((node) => node.subgraph === subgraph));
}

function typeOf(node) {
  return node.constructor.nodeData?.name ?? node.type;
}
