// The time axis of a take panel: ruler, position, and the region that is marked.
import { drawRuler, formatTime } from "./take_drawing.js";
import { make } from "./take_elements.js";

const DRAG_PX = 4;
const LEAST = 0.05; // s of a region

export class TimeAxis {
  // `data`: what the panel shows; `onSeek(time)` and `onRegion(start, end)`: after a click, a drag.
  constructor(data, { onSeek, onRegion }) {
    Object.assign(this, { data, onSeek, onRegion });
    this.ruler = make("canvas", { class: "ruler", "aria-hidden": "true" });
    this.slider = make(
      "div",
      {
        class: "axis",
        role: "slider",
        tabindex: "0",
        "aria-label": "Position in the sound, in seconds",
        "aria-valuemin": "0",
        "aria-valuemax": data.duration.toFixed(2),
      },
      [this.ruler],
    );
    this.playhead = make("div", { class: "playhead" });
    this.mark = make("div", { class: "mark", hidden: "" });
    this.clock = make("span", { class: "clock", "aria-hidden": "true" }); // the slider tells it
    this.watch(this.slider, () => {});
  }

  timeAt(event) {
    const box = this.slider.getBoundingClientRect(); // as it is drawn, at any zoom
    const part = (event.clientX - box.left) / box.width;
    return Math.min(1, Math.max(0, part)) * this.data.duration;
  }

  // A click on `target` goes to a time, after `pick`; a drag marks a region.
  watch(target, pick) {
    target.addEventListener("pointerdown", (down) => {
      if (down.button !== 0) return;
      target.setPointerCapture(down.pointerId);
      const from = this.timeAt(down);
      const before = this.region;
      let region = null;
      const end = () => {
        target.onpointermove = target.onpointerup = target.onpointercancel = null;
      };
      target.onpointermove = (move) => {
        if (!region && Math.abs(move.clientX - down.clientX) < DRAG_PX) return;
        const to = this.timeAt(move);
        region = [Math.min(from, to), Math.max(from, to)];
        this.showRegion(region);
      };
      target.onpointercancel = () => {
        end();
        this.showRegion(before);
      };
      target.onpointerup = () => {
        end();
        if (region && region[1] - region[0] >= LEAST) {
          this.onRegion(region);
          return;
        }
        this.onRegion(null);
        pick();
        this.onSeek(from);
      };
    });
  }

  showRegion(region) {
    this.region = region;
    this.mark.hidden = !region;
    if (!region) return;
    const { duration } = this.data;
    this.mark.style.left = `${(100 * region[0]) / duration}%`;
    this.mark.style.width = `${(100 * (region[1] - region[0])) / duration}%`;
  }

  showTime(time) {
    const { duration } = this.data;
    const part = duration ? time / duration : 0;
    this.playhead.style.transform = `translateX(${part * this.slider.clientWidth}px)`;
    const shown = formatTime(time, duration);
    if (this.clock.dataset.time === shown) return;
    this.clock.dataset.time = shown;
    this.clock.textContent = `${shown} / ${formatTime(duration, duration)} s`;
    this.slider.setAttribute("aria-valuenow", time.toFixed(2));
    this.slider.setAttribute("aria-valuetext", `${shown} s`);
  }

  draw(color) {
    drawRuler(this.ruler, this.data, color);
  }
}
