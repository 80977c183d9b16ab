// A saved workflow of kijai/ComfyUI-MMAudio becomes one of ours. Nodes keep their ids: their model
// loader is Load MMAudio Model, the other loaders go into it, and a MMAudio Feature Extract joins each
// sampler. What becomes what stands in ../kijai.json.
import { freePlace, groupsOf, growGroups } from "./free_place.js";
import { SavedGraphs } from "./saved_graph.js";

const LOADER = "MMAudioModelLoader";
const UTILS = "MMAudioFeatureUtilsLoader";
const SAMPLER = "MMAudioSampler";
const [OUR_LOADER, EXTRACT] = ["LoadMMAudioModel", "MMAudioFeatureExtract"];
const GROWS = 100; // units that Nodes 2.0 draws below what a node says it needs
const OURS = { MMAUDIO_MODEL: "MMAUDIO" };

// A workflow of that pack that is not converted; the message says why.
export class LeftAlone extends Error {}

export class Converter {
  // `create` makes a node of ours as the page does; `ours` says whether a type is.
  constructor(table, data, create, ours) {
    this.table = table;
    this.graphs = new SavedGraphs(data);
    this.create = create;
    this.ours = ours;
    this.notices = [];
    this.missing = new Set(); // files of loaders that are not in models/mmaudio
    this.asked = []; // nodes whose frame_rate only the user knows
    this.renamed = new Map(); // widgets: graph, node and name -> node and name
    this.gone = Object.keys(table.nodes)
      .map((type) => table.nodes[type].output)
      .filter((type) => !OURS[type] && type !== "AUDIO");
  }

  say(what, words = {}) {
    return this.table.says[what].replace(/\{(\w+)\}/g, (all, word) => words[word] ?? all);
  }

  #leftAlone(why, { type }) {
    const node = this.table.nodes[type].title;
    throw new LeftAlone(this.say("unknown", { why: this.say(why, { node }) }));
  }

  #note(what, words) {
    const text = this.say(what, words);
    if (!this.notices.includes(text)) this.notices.push(text);
  }

  convert() {
    const found = this.graphs.all.flatMap((graph) =>
      graph.nodes.filter((node) => isTheirs(node, this.table)).map((node) => ({ graph, node })),
    );
    this.#check(found);
    const theirs = (type) => found.filter(({ node }) => node.type === type);
    const samplers = theirs(SAMPLER).map((one) => ({ ...one, ...this.#sourcesOf(one) }));
    const loaded = theirs(LOADER).map((one) => ({ ...one, ...this.#together(one, samplers) }));
    const others = found.filter(({ node }) => ![LOADER, SAMPLER].includes(node.type));
    const passing = this.#passing();

    this.#note("done");
    const values = (node) => valuesOf(node, this.table);
    const rates = samplers.map((one) => this.#rate(one, samplers));
    for (const one of loaded) this.#loader(one, values);
    if (this.missing.size) this.#note("parts", { files: [...this.missing].join(", ") });
    samplers.forEach((one, index) => this.#sampler(one, values, rates[index]));
    for (const { graph, node } of [...others, ...passing]) graph.removeNode(node);
    this.#borders();
    this.#renameWidgets();
    this.graphs.save();
  }

  // --- what is known

  #check(found) {
    const { table, graphs } = this;
    const nodes = new Set(found.map(({ node }) => node));
    for (const graph of graphs.all)
      for (const node of graph.nodes)
        if (!nodes.has(node) && this.ours(node.type)) throw new LeftAlone(this.say("mixed"));
    const grouped = JSON.stringify(graphs.root.data.extra?.groupNodes ?? {});
    for (const type of Object.keys(table.nodes))
      if (grouped.includes(`"${type}"`)) this.#leftAlone("why_hidden", { type });
    for (const { graph, node } of found) {
      if (!valuesOf(node, table)) this.#leftAlone("why_values", node);
      const { links, widgets } = table.nodes[node.type];
      for (const { name, link } of node.inputs ?? []) {
        if (link == null || name in links) continue;
        if (!(name in widgets) || ![LOADER, SAMPLER].includes(node.type))
          this.#leftAlone("why_values", node);
      }
      for (const [name, type] of Object.entries(links)) {
        if (type === "IMAGE") continue;
        for (const { node: source } of graphs.origins(graph, graph.linkOf(node, name)))
          if (!nodes.has(source) || table.nodes[source.type].output !== type)
            this.#leftAlone("why_model", node);
      }
    }
    for (const graph of graphs.all)
      for (const link of graph.links.values()) {
        const target = graph.node(link.target_id);
        if (!target || nodes.has(target) || graphs.passes(target)) continue;
        for (const { node } of graphs.origins(graph, link))
          if (nodes.has(node) && node.type !== SAMPLER) this.#leftAlone("why_link", node);
      }
  }

  #sourcesOf({ graph, node }) {
    const origins = (name) => this.graphs.origins(graph, graph.linkOf(node, name));
    const utils = origins("feature_utils").map((one) => one.node);
    return { models: origins("mmaudio_model").map((one) => one.node), utils, images: origins("images") };
  }

  // What the loaders of one model say together, and where those stand that go into it.
  #together({ graph, node }, samplers) {
    const said = new Map();
    const merged = [];
    for (const { models, utils } of samplers)
      if (models.includes(node))
        for (const one of utils) {
          const values = valuesOf(one, this.table);
          const where = this.graphs.all.find(({ nodes }) => nodes.includes(one));
          const vocoders = this.graphs.origins(where, where.linkOf(one, "bigvgan_vocoder_model"));
          merged.push(one, ...vocoders.map((vocoder) => vocoder.node));
          if (values.mode === this.table.mode_with_vocoder)
            for (const vocoder of vocoders) Object.assign(values, valuesOf(vocoder.node, this.table));
          said.set(JSON.stringify(values), values);
        }
    if (said.size > 1) this.#leftAlone("why_several", node);
    return { said: [...said.values()][0] ?? {}, merged: merged.filter((one) => graph.nodes.includes(one)) };
  }

  // Reroutes, Set and Get nodes that carry what no node of ours takes.
  #passing() {
    const carries = (graph, node) =>
      this.graphs
        .origins(graph, this.graphs.into(graph, node))
        .some((one) => this.gone.includes(this.table.nodes[one.node.type]?.output));
    return this.graphs.all.flatMap((graph) =>
      graph.nodes
        .filter((node) => this.graphs.passes(node) && !this.graphs.subgraphs.has(node.type))
        .filter((node) => carries(graph, node))
        .map((node) => ({ graph, node })),
    );
  }

  // --- the loaders

  #loader({ graph, node, said, merged }, values) {
    const { LoadMMAudioModel: names } = this.table.becomes;
    const own = values(node);
    const made = this.create(OUR_LOADER);
    const offered = (name) => widgetOf(made, name)?.options?.values ?? [];
    const given = { ...said, ...own };
    const parts = {};
    for (const [theirs, name] of Object.entries(names))
      if (name === "precision") parts[name] = this.#precision(own[theirs], said.precision);
      else if (theirs in given) parts[name] = this.#file(given[theirs], name, offered(name));
    for (const one of merged)
      for (const name of Object.keys(values(one))) this.#rename(graph, one, name, node, names[name]);
    for (const name of Object.keys(own)) this.#rename(graph, node, name, node, names[name]);
    const before = { ...node };
    this.#become(graph, node, made, parts, (name) => ({ node, name: names[name] }));
    const rest = graph.nodes.filter((one) => one !== node && !merged.includes(one));
    const groups = groupsOf(graph.data.groups, before);
    node.pos = freePlace(rest, before.pos, node.size);
    growGroups(groups, node, rest);
  }

  #precision(theirs, other) {
    const precision = this.table.precisions[theirs] ?? "auto";
    if (other && (this.table.precisions[other] ?? "auto") !== precision)
      this.#note("precisions", { precision, other });
    return precision;
  }

  // The file of that name, or what stands for it where it is not in models/mmaudio.
  #file(file, name, offered) {
    const there = typeof offered === "function" ? offered() : offered;
    for (const one of [file, file.replaceAll("\\", "/"), file.replaceAll("/", "\\")])
      if (there.includes(one)) return one;
    let stem = file.split(/[\\/]/).pop().replace(/\.[^.]*$/, "");
    for (const copy of this.table.copies) if (stem.endsWith(copy)) stem = stem.slice(0, -copy.length);
    if (name !== "model") {
      this.missing.add(file);
      return "auto";
    }
    const value = this.table.variants[stem];
    this.#note(value ? "model" : "no_model", { file, value });
    return value ?? file;
  }

  // --- the samplers

  #sampler({ graph, node, utils }, values, rate) {
    const given = this.#bounded(values(node));
    const { [EXTRACT]: first, [SAMPLER]: second } = this.table.becomes;
    const carried = (names) =>
      Object.fromEntries(Object.keys(names).filter((one) => one in given).map((one) => [names[one], given[one]]));
    const extract = { id: ++this.graphs.lastNode, mode: node.mode, flags: { ...node.flags } };
    for (const key of ["color", "bgcolor"]) if (node[key]) extract[key] = node[key];
    const model = graph.linkOf(node, "mmaudio_model");
    const fill = { ...carried(first), ...(rate?.value && { frame_rate: rate.value }) };
    this.#fill(extract, this.create(EXTRACT), fill);
    for (const name of Object.keys(given)) {
      const target = name in first ? extract : node;
      this.#rename(graph, node, name, target, first[name] ?? second[name]);
    }
    const before = { ...node };
    this.#become(graph, node, this.create(SAMPLER), carried(second), (name) => {
      if (name === "mmaudio_model") return { node, name: "mmaudio" };
      return name in first ? { node: extract, name: first[name] } : { node, name: second[name] };
    });
    this.#place(graph, before, node, extract, utils);
    const link = (origin, target, name, type) =>
      graph.add(++this.graphs.lastLink, origin, target, name, type);
    if (model) link(model, extract, "mmaudio", "MMAUDIO");
    link({ origin_id: extract.id, origin_slot: 0 }, node, "features", "MMAUDIO_FEATURES");
    if (rate?.origin) link(rate.origin, extract, rate.name, rate.type);
    if (graph.linkOf(extract, "images") && !rate) {
      this.#note("rate");
      this.asked.push({ graph: graph === this.graphs.root ? null : graph.data.id, node: extract.id });
    }
  }

  #place(graph, before, node, extract, utils) {
    const rest = graph.nodes.filter((one) => !(one.type in this.table.nodes) || one.type === SAMPLER);
    const merged = utils.find((one) => graph.nodes.includes(one));
    const groups = groupsOf(graph.data.groups, before);
    const below = [before.pos[0], before.pos[1] + node.size[1] + GROWS];
    const wanted = groups.length || !merged ? below : merged.pos;
    const drawn = { size: [extract.size[0], extract.size[1] + GROWS] };
    extract.pos = drawn.pos = freePlace(rest, wanted, drawn.size);
    growGroups(groups, drawn, rest);
    graph.nodes.push(extract);
  }

  #bounded(values) {
    const given = { ...values };
    for (const [input, [low, high]] of Object.entries(this.table.bounds)) {
      const value = given[input];
      const bound = Math.min(high, Math.max(low, value));
      if (bound !== value) this.#note("bounds", { input, value, bound });
      given[input] = bound;
    }
    return given;
  }

  // What tells how many images there are in a second: their source, or what shows them with the sound.
  #rate({ graph, node, images }, samplers) {
    if (images.length !== 1) return undefined;
    const [source] = images;
    const [slot, name] = this.table.rate_sources[source.node.type] ?? [];
    const type = source.node.outputs?.[slot]?.type;
    if (type && source.graph === graph) {
      return { origin: { origin_id: source.node.id, origin_slot: slot }, name, type };
    }
    for (const outer of this.graphs.all)
      for (const shown of outer.nodes) {
        const rate = this.table.rate_results[shown.type];
        const from = (input) => this.graphs.origins(outer, outer.linkOf(shown, input));
        const same = (one) => one.node === source.node && one.slot === source.slot;
        if (!rate || !from("images").some(same) || !from("audio").some((one) => one.node === node))
          continue;
        const origin = outer.linkOf(shown, rate);
        if (origin && outer === graph) return { origin: { ...origin }, name: "frame_rate", type: "FLOAT" };
        const { widgets_values: saved } = shown;
        const value = Array.isArray(saved) ? saved[0] : saved?.[rate];
        if (!origin && value > 0) return { value };
      }
    return undefined;
  }

  // --- nodes

  #fill(node, made, values) {
    for (const [name, value] of Object.entries(values)) widgetOf(made, name).value = value;
    const { inputs, outputs, widgets_values, size, type, properties } = made.serialize();
    const { [`Node name for S&R`]: _, cnr_id, aux_id, ver, ...kept } = node.properties ?? {};
    Object.assign(node, { type, inputs, outputs, widgets_values });
    node.properties = { ...kept, ...properties };
    node.size = [Math.max(node.size?.[0] ?? 0, size[0]), size[1]];
    node.order ??= 0;
  }

  // A node of theirs becomes `made`; `goes` says where links to its inputs go.
  #become(graph, node, made, values, goes) {
    const was = { inputs: node.inputs ?? [], outputs: node.outputs ?? [], type: node.type };
    const { title } = this.table.nodes[was.type];
    this.#fill(node, made, values);
    if (node.title === title || node.title === was.type) delete node.title;
    node.outputs[0].links = was.outputs[0]?.links ?? null;
    for (const { name, link } of was.inputs) {
      const one = graph.links.get(link);
      const target = one && goes(name);
      if (target?.name) graph.retarget(one, target.node, target.name);
      else if (one) graph.remove(one);
    }
  }

  #rename(graph, node, name, target, newName) {
    this.renamed.set(`${graph.data.id} ${node.id} ${name}`, newName && [target.id, newName]);
  }

  // --- what surrounds them

  // Links, and slots of subgraphs, reroutes, Set and Get nodes: of models, and of what is gone.
  #borders() {
    for (const { links } of this.graphs.all)
      for (const link of links.values()) link.type = OURS[link.type] ?? link.type;
    for (const graph of this.graphs.all)
      for (const node of graph.nodes)
        if (this.graphs.passes(node))
          for (const slot of [...(node.inputs ?? []), ...(node.outputs ?? [])]) retype(slot);
    for (const graph of this.graphs.subgraphs.values())
      for (const kind of ["inputs", "outputs"]) {
        const slots = graph.data[kind] ?? [];
        slots.forEach(retype);
        for (let index = slots.length - 1; index >= 0; index--) {
          if (!this.gone.includes(slots[index].type)) continue;
          for (const { outer, node } of this.graphs.instances(graph)) {
            const own = node[kind]?.findIndex((one) => one.name === slots[index].name) ?? -1;
            if (own >= 0) outer.removeSlot(node, kind, own);
          }
          graph.removeBorderSlot(kind, index);
        }
      }
  }

  // Widgets that subgraphs and apps show outside.
  #renameWidgets() {
    const moved = (id, list, text) =>
      list.flatMap(([node, name, ...more]) => {
        const key = `${id} ${node} ${name}`;
        if (!this.renamed.has(key)) return [[node, name, ...more]];
        const to = this.renamed.get(key);
        return to ? [[text ? String(to[0]) : to[0], to[1], ...more]] : [];
      });
    for (const graph of this.graphs.all)
      for (const { properties, type } of graph.nodes)
        if (Array.isArray(properties?.proxyWidgets))
          properties.proxyWidgets = moved(type, properties.proxyWidgets, true);
    const { data } = this.graphs.root;
    const inputs = data.extra?.linearData?.inputs;
    if (Array.isArray(inputs)) data.extra.linearData.inputs = moved(data.id, inputs, true);
  }
}

function retype(slot) {
  const type = OURS[slot.type];
  if (!type) return;
  if (slot.name === slot.type) slot.name = type;
  slot.type = type;
}

function widgetOf(node, name) {
  return node.widgets?.find((one) => one.name === name);
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
function valuesOf({ type, widgets_values: saved }, { nodes }) {
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
