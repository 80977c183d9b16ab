// The nodes around a take panel: the region and the schedule whose widgets it writes.
import { widgetOf } from "./nodes.js";

const TIME = String.raw`(?:\d+:[0-5])?\d+(?:\.\d+)?`;
const ENTRY = new RegExp(String.raw`^(\s*)(${TIME})(\s*-\s*)(${TIME})?(\s*:)([\s\S]*)$`);

// The nearest node of that type among those that `node` gets its sound from, itself left out.
export function findAbove(node, type) {
  const seen = new Set();
  let level = [node];
  while (level.length) {
    const above = [];
    for (const here of level) {
      for (const slot of (here.inputs ?? []).keys()) {
        const source = here.getInputNode?.(slot);
        if (!source || seen.has(source)) continue;
        seen.add(source);
        if ((source.constructor.nodeData?.name ?? source.type) === type) return source;
        above.push(source);
      }
    }
    level = above;
  }
  return undefined;
}

// Set a widget as a user does: the page redraws it and notes the change.
export function setWidget(node, name, value) {
  const widget = widgetOf(node, name);
  if (!widget) return false;
  widget.value = value;
  widget.callback?.(value);
  node.graph?.setDirtyCanvas?.(true, true);
  node.graph?.change?.();
  return true;
}

// The entries of a schedule's text: where each begins and ends, and its prompt. Undefined where the
// text cannot be read.
export function readSchedule(text, duration) {
  const entries = [];
  for (const part of split(text)) {
    if (!part.text.trim()) continue;
    const match = ENTRY.exec(part.text);
    if (!match) return undefined;
    const end = match[4] === undefined ? duration : seconds(match[4]);
    entries.push({ start: seconds(match[2]), end, prompt: match[6].trim(), ...part, match });
  }
  return entries;
}

// The text after the border between entry `index` and the next was moved to `time`; all else stays.
export function moveBorder(text, duration, index, time) {
  const entries = readSchedule(text, duration);
  const [left, right] = [entries[index], entries[index + 1]];
  const shift = time - (left.end + right.start) / 2;
  const parts = [
    { entry: left, field: 4, value: left.end + shift },
    { entry: right, field: 2, value: right.start + shift },
  ];
  let result = text;
  for (const { entry, field, value } of parts.reverse()) {
    const fields = entry.match.slice(1);
    fields[field - 1] = String(Math.round(value * 100) / 100);
    const changed = fields.map((piece) => piece ?? "").join("");
    result = result.slice(0, entry.at) + changed + result.slice(entry.at + entry.text.length);
  }
  return result;
}

function split(text) {
  const parts = [];
  let at = 0;
  for (const piece of text.split(/([|\n])/)) {
    if (piece !== "|" && piece !== "\n") parts.push({ text: piece, at });
    at += piece.length;
  }
  return parts;
}

function seconds(text) {
  return text.split(":").reduce((total, part) => total * 60 + Number(part), 0);
}
