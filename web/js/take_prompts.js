// The prompts of an MMAudio Prompt Schedule on the axis of a take panel; their borders are dragged. The
// text of that node stays the truth.
import { widgetOf } from "./nodes.js";
import { make } from "./take_elements.js";
import { findAbove } from "./graph_sources.js";
import { isOwn, moveBorder, readSchedule, setWidgets } from "./take_graph.js";

const LEAST = 0.1; // s that a prompt keeps
const STEP = 0.1; // s, of the arrow keys

export class PromptStrip {
  // The schedule that `node` gets its sound from; null if there is none that can be read. `view` knows
  // the time under the pointer, and where to tell what has happened.
  static above(node, duration, view) {
    const schedule = findAbove(node, "MMAudioPromptSchedule");
    if (!schedule || !isOwn(schedule, "schedule") || !widgetOf(schedule, "schedule").value) return null;
    const strip = new PromptStrip(schedule, duration, view);
    return strip.entries?.length ? strip : null;
  }

  constructor(node, duration, view) {
    Object.assign(this, { node, duration, view });
    this.element = make("div", { class: "schedule", role: "group", "aria-label": "Prompts" });
    // it may have been changed by hand
    for (const kind of ["pointerenter", "focusin"])
      this.element.addEventListener(kind, () => this.text !== this.drawn && this.draw());
    this.draw();
  }

  get text() {
    return widgetOf(this.node, "schedule")?.value ?? "";
  }

  draw() {
    this.drawn = this.text;
    this.entries = readSchedule(this.text, this.duration);
    const parts = [];
    for (const [index, entry] of (this.entries ?? []).entries()) {
      const end = Math.min(entry.end, this.duration);
      const label = make("span", { class: "prompt", title: entry.prompt }, [entry.prompt]);
      label.style.left = `${(100 * entry.start) / this.duration}%`;
      label.style.width = `${(100 * (end - entry.start)) / this.duration}%`;
      parts.push(label);
      const next = this.entries[index + 1];
      if (next) parts.push(this.border(index, (entry.end + next.start) / 2));
    }
    this.element.replaceChildren(...parts);
  }

  border(index, time) {
    const { duration } = this;
    const handle = make("div", {
      class: "border",
      role: "slider",
      tabindex: "0",
      "aria-label": `Border between prompts ${index + 1} and ${index + 2}, in seconds`,
      "aria-valuemin": "0",
      "aria-valuemax": duration.toFixed(2),
    });
    const first = this.entries[index].start + LEAST;
    const last = Math.min(this.entries[index + 1].end, duration) - LEAST;
    const clamp = (at) => Math.min(Math.max(at, first), last);
    const place = (at) => {
      time = at;
      handle.style.left = `${(100 * at) / duration}%`;
      handle.setAttribute("aria-valuenow", at.toFixed(2));
    };
    handle.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      handle.setPointerCapture(event.pointerId);
      handle.onpointermove = (move) => place(clamp(this.view.timeAt(move)));
      handle.onpointerup = () => {
        handle.onpointermove = handle.onpointerup = null;
        this.move(index, time);
      };
    });
    handle.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      this.move(index, clamp(time + by));
    });
    place(time);
    return handle;
  }

  move(index, time) {
    setWidgets(this.node, { schedule: moveBorder(this.text, this.duration, index, time) });
    const focused = this.element.contains(document.activeElement);
    this.draw();
    if (focused) this.element.querySelectorAll(".border")[index]?.focus();
    this.view.tell(`The border is at ${time.toFixed(2)} s. Run again to hear it.`);
  }
}
