// The nodes around a take panel: the region and the schedule whose widgets it writes.
import { findAbove } from "./graph_sources.js";
import { noteChange, widgetOf } from "./nodes.js";

const TIME = String.raw`(?:\d+:[0-5])?\d+(?:\.\d+)?`;
const ENTRY = new RegExp(String.raw`^(\s*)(${TIME})(\s*-\s*)(${TIME})?(\s*:)([\s\S]*)$`);

// Whether a widget's value counts, and does not come from another node.
export function isOwn(node, name) {
  const input = node.inputs?.find((one) => (one.widget?.name ?? one.name) === name);
  return Boolean(widgetOf(node, name)) && (input?.link ?? null) === null;
}

// Set widgets as a user does, in one step that can be undone. Whether their values count.
export function setWidgets(node, values) {
  if (!Object.keys(values).every((name) => isOwn(node, name))) return false;
  for (const [name, value] of Object.entries(values)) {
    const widget = widgetOf(node, name);
    widget.value = value;
    widget.callback?.(value);
  }
  node.graph?.setDirtyCanvas?.(true, true);
  noteChange();
  return true;
}

// Write a region, in seconds, into the MMAudioRegion above `node`; what there is to tell about it.
export function writeRegion(node, ...region) {
  const target = findAbove(node, "MMAudioRegion");
  if (!target) return "";
  const [start, end] = region.map((time) => Math.round(time * 100) / 100);
  if (!setWidgets(target, { start, end }))
    return `${target.title} takes a time from another node, and stays as it is.`;
  return `${target.title}: ${start.toFixed(2)} to ${end.toFixed(2)} s.`;
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
  const [left, right] = [entries?.[index], entries?.[index + 1]];
  if (!left || !right) return text; // it was changed by hand meanwhile
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
