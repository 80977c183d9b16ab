// A saved workflow of kijai/ComfyUI-MMAudio becomes one of ours. Nodes keep their ids: their model
// loader is Load MMAudio Model, the other loaders go into it, and a MMAudio Feature Extract joins each
// sampler. What becomes what stands in ../kijai.json.
import { freePlace, groupsOf, growGroups } from "./free_place.js";
import { OURS, renameWidgets, retypeBorders } from "./kijai_borders.js";
import { LOADER, SAMPLER, checkKnown, isTheirs, leftAlone, valuesOf } from "./kijai_nodes.js";
import { SavedGraphs } from "./saved_graph.js";

const [OUR_LOADER, EXTRACT] = ["LoadMMAudioModel", "MMAudioFeatureExtract"];
const GROWS = 100; // units that Nodes 2.0 draws below what a node says it needs

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

  #note(what, words) {
    const text = this.say(what, words);
    if (!this.notices.includes(text)) this.notices.push(text);
  }

  convert() {
    const found = this.graphs.all.flatMap((graph) =>
      graph.nodes.filter((node) => isTheirs(node, this.table)).map((node) => ({ graph, node })),
    );
    checkKnown(found, this);
    for (const { node } of found)
      for (const key of ["pos", "size"]) node[key] = [node[key][0], node[key][1]]; // once objects
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
    retypeBorders(this.graphs, this.gone);
    renameWidgets(this.graphs, this.renamed);
    this.graphs.save();
  }

  #sourcesOf({ graph, node }) {
    const origins = (name) => this.graphs.origins(graph, graph.linkOf(node, name));
    const utils = origins("feature_utils").map((one) => one.node);
    const models = origins("mmaudio_model").map((one) => one.node);
    return { models, utils, images: this.#frames(graph, graph.linkOf(node, "images")) };
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
    if (said.size > 1) leftAlone(this, "why_several", node);
    const own = merged.filter((one) => graph.nodes.includes(one));
    return { said: [...said.values()][0] ?? {}, merged: own };
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
    node.pos = freePlace(rest, before.pos, this.#drawn(node).size);
    growGroups(groups, this.#drawn(node), rest);
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
    const carried = (names) => {
      const known = Object.keys(names).filter((one) => one in given);
      return Object.fromEntries(known.map((one) => [names[one], given[one]]));
    };
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
    const boxes = rest.map((one) => this.#drawn(one));
    extract.pos = freePlace(boxes, wanted, this.#drawn(extract).size);
    growGroups(groups, this.#drawn(extract), rest);
    graph.nodes.push(extract);
  }

  // A node with the size that Nodes 2.0 draws.
  #drawn(node) {
    return this.ours(node.type) ? { ...node, size: [node.size[0], node.size[1] + GROWS] } : node;
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

  // The outputs that images come from, behind nodes that make one frame of each.
  #frames(graph, link, seen = new Set()) {
    return this.graphs.origins(graph, link, seen).flatMap((one) => {
      const from = one.graph.linkOf(one.node, this.table.keep_frames[one.node.type]);
      return from ? this.#frames(one.graph, from, seen) : [one];
    });
  }

  // What tells how many images there are in a second: their source, or what shows them with the
  // sound.
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
        if (!rate) continue;
        const same = (one) => one.node === source.node && one.slot === source.slot;
        const sound = this.graphs.origins(outer, outer.linkOf(shown, "audio"));
        const frames = this.#frames(outer, outer.linkOf(shown, "images"));
        if (!frames.some(same) || !sound.some((one) => one.node === node)) continue;
        const origin = outer.linkOf(shown, rate);
        if (origin && outer === graph)
          return { origin: { ...origin }, name: "frame_rate", type: "FLOAT" };
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
}

function widgetOf(node, name) {
  return node.widgets?.find((one) => one.name === name);
}
