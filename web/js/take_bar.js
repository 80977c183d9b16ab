// The buttons of a take panel above its time axis, and below them what is listed and in which order.
import { button, choice, make } from "./take_elements.js";
import { SAVED } from "./take_player.js";
import { labelOf } from "./take_scores.js";

export const IN_ORDER = ""; // not sorted by a score

export class TakeBar {
  constructor(view) {
    this.play = button("Play", () => view.togglePlay(), "Play (Space)");
    this.ab = button("A/B", () => view.pick(view.previous), "Back to the one heard before (B)");
    this.buttons = {
      loop: button("Loop", () => view.toggleLoop(), "Repeat the marked region (L)"),
      level: button("Level", () => view.setLevel(!view.level), "All takes equally loud"),
      spectra: button("Spectrogram", () => view.setSpectra(!view.spectra), "Instead of waveforms"),
    };
    const buttons = Object.values(this.buttons);
    this.bar = make("div", { class: "bar" }, [this.play, this.ab, ...buttons, view.axis.clock]);
    const choices = listChoices(view);
    this.choices = choices.length ? make("div", { class: "bar" }, choices) : null;
  }

  showPressed(name, isPressed) {
    this.buttons[name].setAttribute("aria-pressed", String(isPressed));
  }

  showPlaying(isPlaying) {
    this.play.textContent = isPlaying ? "Pause" : "Play";
  }

  // The take that is heard, and the one that A/B goes back to.
  showCompared(...takes) {
    const [now, before] = takes.map((take) => (take === SAVED ? "file" : take));
    this.ab.disabled = now === before;
    this.ab.textContent = now === before ? "A/B" : `A/B ${before}|${now}`;
  }
}

// Which item of a list is shown, in which order its takes are, and what is not known of them.
function listChoices(view) {
  const { items, item, scores, sorting } = view;
  const parts = [];
  if (items.length > 1) {
    const names = Object.fromEntries(items.entries());
    parts.push(choice("Item", names, item, (index) => view.onItem(Number(index))));
  }
  if (scores.names.length) {
    const names = Object.fromEntries(scores.names.map((name) => [name, labelOf(name)]));
    const options = { [IN_ORDER]: "take number", ...names };
    parts.push(choice("Sort by", options, sorting, (name) => view.sort(name)));
  }
  if (scores.missing.length)
    parts.push(make("span", {}, [`Not measured: ${scores.missing.join(", ")}`]));
  return parts;
}
