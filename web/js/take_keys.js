// What keys do in a take panel that has the focus.
import { SAVED } from "./take_player.js";

const STEP_SECONDS = 1;

// What the key does; undefined if it is left to the browser, or to the element that has the focus.
export function actOfKey(view, { key, target, ctrlKey, metaKey, altKey }) {
  if (ctrlKey || metaKey || altKey || target.closest("select")) return undefined;
  if (/^[1-9]$/.test(key)) return () => view.pick(Number(key) - 1);
  if (key === " " && target.closest("button, a")) return undefined;
  const { player } = view;
  const acts = {
    " ": () => view.togglePlay(),
    l: () => view.toggleLoop(),
    b: () => view.pick(view.previous),
    s: () => view.pick(SAVED),
    ArrowLeft: () => player.seek(player.time - STEP_SECONDS),
    ArrowRight: () => player.seek(player.time + STEP_SECONDS),
    Home: () => player.seek(0),
    End: () => player.seek(player.duration),
  };
  return acts[key.length === 1 ? key.toLowerCase() : key];
}
