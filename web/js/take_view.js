// The elements of a take panel, and what happens when they are used.
import { decodePeaks, drawRuler, drawWaveform, formatTime } from "./take_drawing.js";
import { findAbove, setWidget } from "./take_graph.js";
import { widgetOf } from "./nodes.js";
import { TakePlayer } from "./take_player.js";
import { PromptStrip } from "./take_prompts.js";
import { addStyle, make } from "./take_elements.js";

const VIDEO_HEIGHT = 180; // px
const BAR_HEIGHT = 34;
const RULER_HEIGHT = 26;
const STRIP_HEIGHT = 22;
const LANE_HEIGHT = 84;
const SHOWN_LANES = 4; // more scroll
const STATUS_HEIGHT = 20;
const DRAG_PX = 4;
const STEP_SECONDS = 1;
const RATE_FACTOR = 20; // dB of a factor of ten

export class TakeView {
  constructor(node, { fileUrl, spectrogramUrl }) {
    Object.assign(this, { node, fileUrl, spectrogramUrl });
    this.data = null;
    this.level = true;
    this.spectra = false;
    this.previous = 0;
    addStyle();
    this.element = make("section", { class: "mmaudio-takes", "aria-label": "Takes", tabindex: "0" });
    // the canvas below would drag the node, zoom, or take the keys as its own
    for (const kind of ["pointerdown", "mousedown", "dblclick", "contextmenu", "wheel", "keyup"])
      this.element.addEventListener(kind, (event) => event.stopPropagation());
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.status = make("p", { class: "status", role: "status" });
    this.observer = new ResizeObserver(() => this.draw());
  }

  get height() {
    if (!this.data) return STATUS_HEIGHT + 12;
    const lanes = Math.min(this.data.takes.length, SHOWN_LANES) * LANE_HEIGHT;
    const picture = this.data.video ? VIDEO_HEIGHT : 0;
    const strip = this.schedule ? STRIP_HEIGHT : 0;
    return picture + BAR_HEIGHT + RULER_HEIGHT + strip + lanes + STATUS_HEIGHT + 16;
  }

  tell(text) {
    this.element.dataset.node = this.node.id;
    this.status.textContent = text;
    if (!this.status.isConnected) this.element.replaceChildren(this.status);
  }

  show(data) {
    this.end();
    this.element.dataset.node = this.node.id;
    this.data = data;
    this.schedule = PromptStrip.above(this.node, data.duration, this);
    this.build();
    this.player = new TakePlayer(this.video, this.audios, {
      duration: data.duration,
      offset: data.audio_start + (data.video?.start ?? 0),
      onTick: (time) => this.onTick(time),
      onState: () => this.onState(),
    });
    this.pick(Math.max(0, Math.min(data.take, data.takes.length - 1)), false);
    this.applyLevel();
    this.showKept();
    this.onState();
    const left = data.count - data.takes.length;
    this.status.textContent = left > 0 ? `${left} more takes are not shown.` : "";
    this.observer.observe(this.element);
    this.draw();
  }

  build() {
    const { data } = this;
    this.video = null;
    if (data.video) {
      this.video = make("video", { preload: "metadata", playsinline: "", "aria-label": "Picture" });
      this.video.muted = true;
      this.video.src = this.fileUrl(data.video);
      this.video.addEventListener("error", () =>
        this.tell("The picture cannot be shown: the browser does not know its codec, or it is gone."),
      );
      this.video.addEventListener("loadedmetadata", () => this.player.seek(this.player.place), {
        once: true,
      });
    }
    this.audios = data.takes.map((take, index) => {
      const audio = make("audio", { preload: "none", src: this.fileUrl(take.file) });
      audio.addEventListener("error", () =>
        this.tell(`Take ${index} is no longer on disk. Run again to hear it.`),
      );
      return audio;
    });
    this.playButton = this.button("Play", () => this.togglePlay());
    this.abButton = this.button("A/B", () => this.pick(this.previous), "Back to the take before");
    this.loopButton = this.button("Loop", () => this.toggleLoop(), "Repeat the marked region");
    this.levelButton = this.button("Level", () => this.toggleLevel(), "All takes equally loud");
    this.spectraButton = this.button("Mel", () => this.toggleSpectra(), "Show mel spectrograms");
    this.clock = make("span", { class: "clock", "aria-hidden": "true" }); // the slider tells it
    const bar = make("div", { class: "bar" }, [
      this.playButton,
      this.abButton,
      this.loopButton,
      this.levelButton,
      this.spectraButton,
      this.clock,
    ]);
    this.ruler = make("canvas", { class: "ruler", "aria-hidden": "true" });
    this.slider = make("div", {
      class: "axis",
      role: "slider",
      tabindex: "0",
      "aria-label": "Position in the sound, in seconds",
      "aria-valuemin": "0",
      "aria-valuemax": data.duration.toFixed(2),
    });
    this.slider.append(this.ruler);
    this.watchPointer(this.slider, () => {});
    this.lanes = data.takes.map((take, index) => this.lane(take, index));
    this.playhead = make("div", { class: "playhead" });
    this.mark = make("div", { class: "mark", hidden: "" });
    const lanes = make("ul", { class: "lanes" }, this.lanes.map((lane) => lane.element));
    const axis = make("div", { class: "time" }, [this.slider]);
    if (this.schedule) axis.append(this.schedule.element);
    axis.append(lanes, this.mark, this.playhead);
    this.element.replaceChildren(
      ...(this.video ? [this.video] : []),
      ...this.audios,
      bar,
      axis,
      this.status,
    );
  }

  button(text, act, title = text) {
    const element = make("button", { type: "button", title }, [text]);
    element.addEventListener("click", act);
    return element;
  }

  lane(take, index) {
    const canvas = make("canvas", { "aria-hidden": "true" });
    const picture = make("img", { alt: `Mel spectrogram of take ${index}`, hidden: "" });
    const pick = this.button(`Take ${index}`, () => this.pick(index), `Hear take ${index}`);
    const facts = [];
    if (take.loudness !== null) facts.push(`${take.loudness.toFixed(1)} LUFS`);
    if (take.seed !== undefined) facts.push(`seed ${take.seed}`);
    for (const [name, value] of Object.entries(take.scores ?? {})) facts.push(`${name} ${value}`);
    const row = make("div", { class: "row" }, [
      pick,
      make("span", { class: "facts" }, [facts.join(" · ")]),
    ]);
    const keep = this.button("Keep", () => this.keep(index), `Set take to ${index}`);
    row.append(keep);
    if (take.seed !== undefined) {
      const copy = this.button("Copy seed", () => this.copySeed(index), "The seed of this take alone");
      row.append(copy);
    }
    const sound = make("div", { class: "sound" }, [canvas, picture]);
    this.watchPointer(sound, () => this.pick(index));
    const element = make("li", { class: "lane" }, [row, sound]);
    return { element, canvas, picture, pick, keep, peaks: decodePeaks(take.peaks) };
  }

  // --- the region of another node

  writeRegion(start, end) {
    const node = findAbove(this.node, "MMAudioRegion");
    if (!node) return;
    setWidget(node, "start", Math.round(start * 100) / 100);
    setWidget(node, "end", Math.round(end * 100) / 100);
    this.status.textContent = `${node.title}: ${start.toFixed(2)} to ${end.toFixed(2)} s.`;
  }

  // --- what is done

  pause() {
    if (this.player?.playing) this.player.pause();
  }

  async togglePlay() {
    if (!this.player) return;
    if (this.player.playing) this.player.pause();
    else {
      try {
        await this.player.play();
      } catch (error) {
        this.tell(`This cannot be played: ${error.message}`);
      }
    }
  }

  pick(take, tell = true) {
    if (!this.player || !this.audios[take]) return;
    if (take !== this.player.current) this.previous = this.player.current;
    this.player.pick(take);
    for (const [index, lane] of this.lanes.entries()) {
      lane.pick.setAttribute("aria-pressed", String(index === take));
      lane.element.classList.toggle("picked", index === take);
    }
    if (tell) this.status.textContent = `Take ${take} is heard.`;
  }

  keep(take) {
    setWidget(this.node, "take", take);
    this.showKept();
    this.status.textContent = `Take ${take} is kept. Run again to pass it on.`;
  }

  showKept() {
    if (!this.data) return;
    const kept = Number(widgetOf(this.node, "take")?.value);
    for (const [index, lane] of this.lanes.entries()) {
      const isKept = index === kept || kept === -1;
      lane.keep.setAttribute("aria-pressed", String(isKept));
      lane.keep.textContent = isKept ? "Kept" : "Keep";
    }
  }

  async copySeed(take) {
    const { seed } = this.data.takes[take];
    try {
      await navigator.clipboard.writeText(seed);
      this.status.textContent = `Seed ${seed} is copied: with num_samples 1 it makes this take.`;
    } catch {
      this.status.textContent = `Seed ${seed}: the browser does not let it be copied.`;
    }
  }

  toggleLoop() {
    this.setRegion(this.player.region ? null : (this.marked ?? [0, this.data.duration]));
  }

  setRegion(region) {
    this.player.region = region;
    if (region) this.marked = region;
    this.loopButton.setAttribute("aria-pressed", String(Boolean(region)));
    this.placeMark(region);
  }

  placeMark(region) {
    this.mark.hidden = !region;
    if (!region) return;
    const { duration } = this.data;
    this.mark.style.left = `${(100 * region[0]) / duration}%`;
    this.mark.style.width = `${(100 * (region[1] - region[0])) / duration}%`;
  }

  toggleLevel() {
    this.level = !this.level;
    this.applyLevel();
  }

  // The quietest take sets the level: a browser makes nothing louder.
  applyLevel() {
    const levels = this.data.takes.map((take) => take.loudness ?? Infinity);
    const quietest = Math.min(...levels);
    const gain = (level) => (Number.isFinite(level) ? 10 ** ((quietest - level) / RATE_FACTOR) : 1);
    this.player.setGains(levels.map((level) => (this.level ? gain(level) : 1)));
    this.levelButton.setAttribute("aria-pressed", String(this.level));
  }

  toggleSpectra() {
    this.spectra = !this.spectra;
    for (const [index, lane] of this.lanes.entries()) {
      if (this.spectra && !lane.picture.src) {
        lane.picture.addEventListener("error", () =>
          this.tell("The spectrogram cannot be shown: the take is no longer on disk. Run again."),
        );
        lane.picture.src = this.spectrogramUrl(this.data.takes[index]);
      }
      lane.picture.hidden = !this.spectra;
      lane.canvas.hidden = this.spectra;
    }
    this.spectraButton.setAttribute("aria-pressed", String(this.spectra));
    if (!this.spectra) this.draw();
  }

  onKey(event) {
    event.stopPropagation(); // keys of the page are not meant: Delete would delete the node
    if (!this.player || event.ctrlKey || event.metaKey || event.altKey) return;
    const onButton = event.target.closest("button");
    const acts = {
      " ": () => this.togglePlay(),
      l: () => this.toggleLoop(),
      b: () => this.pick(this.previous),
      ArrowLeft: () => this.player.seek(this.player.time - STEP_SECONDS),
      ArrowRight: () => this.player.seek(this.player.time + STEP_SECONDS),
      Home: () => this.player.seek(0),
      End: () => this.player.seek(this.data.duration),
    };
    const act = /^[1-9]$/.test(event.key)
      ? () => this.pick(Number(event.key) - 1)
      : acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || (onButton && event.key === " ")) return;
    event.preventDefault();
    act();
  }

  timeAt(event) {
    const box = this.slider.getBoundingClientRect(); // as it is drawn, at any zoom
    const part = (event.clientX - box.left) / box.width;
    return Math.min(1, Math.max(0, part)) * this.data.duration;
  }

  // A click goes to a time, a drag marks a region.
  watchPointer(target, pick) {
    target.addEventListener("pointerdown", (down) => {
      if (down.button !== 0) return;
      target.setPointerCapture(down.pointerId);
      const from = this.timeAt(down);
      let region = null;
      target.onpointermove = (move) => {
        if (!region && Math.abs(move.clientX - down.clientX) < DRAG_PX) return;
        const to = this.timeAt(move);
        region = [Math.min(from, to), Math.max(from, to)];
        this.placeMark(region);
      };
      target.onpointerup = target.onpointercancel = () => {
        target.onpointermove = target.onpointerup = target.onpointercancel = null;
        if (region && region[1] - region[0] >= 0.05) {
          this.setRegion(region);
          this.writeRegion(...region);
          return;
        }
        this.setRegion(null);
        pick();
        this.player.seek(from);
      };
    });
  }

  // --- what is seen

  onTick(time) {
    const part = this.data.duration ? time / this.data.duration : 0;
    this.playhead.style.transform = `translateX(${part * this.slider.clientWidth}px)`;
    const shown = formatTime(time);
    if (this.clock.textContent !== shown) {
      this.clock.textContent = shown;
      this.slider.setAttribute("aria-valuenow", time.toFixed(2));
      this.slider.setAttribute("aria-valuetext", shown);
    }
  }

  onState() {
    const playing = Boolean(this.player?.playing);
    this.playButton.textContent = playing ? "Pause" : "Play";
    this.element.classList.toggle("playing", playing);
  }

  draw() {
    if (!this.data || !this.element.clientWidth) return;
    const color = getComputedStyle(this.element).color;
    drawRuler(this.ruler, this.data, color);
    if (!this.spectra) for (const lane of this.lanes) drawWaveform(lane.canvas, lane.peaks, color);
    this.onTick(this.player.time);
  }

  end() {
    this.observer.disconnect();
    this.player?.end();
    this.player = null;
    this.data = null;
  }
}
