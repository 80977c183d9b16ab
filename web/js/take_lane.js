// A lane of the take panel: what is told of a take, its buttons, and its sound as a picture.
import { decodePeaks, drawWaveform } from "./take_drawing.js";
import { button, make } from "./take_elements.js";
import { minus } from "./take_scores.js";

export class TakeLane {
  // `acts`: pick, keep, tell, and the address of a spectrogram.
  constructor(take, index, acts) {
    Object.assign(this, { take, index, acts });
    this.peaks = decodePeaks(take.peaks);
    this.pick = button(`Take ${index}`, () => acts.pick(index), `Hear take ${index}`);
    this.keep = button("Keep", () => acts.keep(index), `Set take to ${index}`);
    const head = make("div", { class: "row" }, [this.pick, this.keep]);
    if (take.loudness !== null)
      head.append(make("span", { class: "fact" }, [minus(`${take.loudness.toFixed(1)} LUFS`)]));
    if (take.seed !== undefined) {
      const seed = button(`Seed ${take.seed}`, () => this.copySeed(), "Copy the seed of this take");
      seed.setAttribute("aria-label", `Copy seed ${take.seed}`);
      head.append(seed);
    }
    this.scores = make("div", { class: "scores" });
    this.canvas = make("canvas", { "aria-hidden": "true" });
    this.picture = make("img", { alt: `Mel spectrogram of take ${index}`, hidden: "" });
    this.sound = make("div", { class: "sound" }, [this.canvas, this.picture]);
    this.element = make("li", { class: "lane" }, [head, this.scores, this.sound]);
  }

  showPicked(isPicked) {
    this.pick.setAttribute("aria-pressed", String(isPicked));
    this.element.classList.toggle("picked", isPicked);
  }

  showKept(isKept) {
    this.keep.setAttribute("aria-pressed", String(isKept));
    this.keep.textContent = isKept ? "Kept" : "Keep";
  }

  async copySeed() {
    const { seed } = this.take;
    try {
      await navigator.clipboard.writeText(seed);
      this.acts.tell(`Seed ${seed} is copied: with num_samples 1 it makes this take.`);
    } catch {
      this.acts.tell(`Seed ${seed}: the browser does not let it be copied.`);
    }
  }

  // `scores` as Scores.of tells them; the loudness is in the row above.
  showScores(scores) {
    const told = scores.filter(({ name }) => name !== "loudness" || this.take.loudness === null);
    this.scores.replaceChildren(
      ...told.map(({ text, help, best }) => {
        const parts = best ? [text, make("span", { "aria-hidden": "true" }, [" ★"])] : [text];
        if (best) parts.push(make("span", { class: "unseen" }, [" (best)"]));
        return make("span", { class: best ? "score best" : "score", title: help }, parts);
      }),
    );
  }

  showSpectrogram(isShown) {
    if (isShown && !this.picture.src) {
      this.picture.addEventListener("error", () =>
        this.acts.tell("The spectrogram cannot be shown: the take is no longer on disk. Run again."),
      );
      this.picture.src = this.acts.spectrogramUrl(this.take);
    }
    this.picture.hidden = !isShown;
    this.canvas.hidden = isShown;
  }

  draw(color) {
    if (!this.canvas.hidden) drawWaveform(this.canvas, this.peaks, color);
  }
}
