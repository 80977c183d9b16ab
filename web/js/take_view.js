// The elements of a take panel, and what happens when they are used.
import { TimeAxis } from "./take_axis.js";
import { IN_ORDER, TakeBar } from "./take_bar.js";
import { addStyle, make } from "./take_elements.js";
import { setWidgets, writeRegion } from "./take_graph.js";
import { actOfKey } from "./take_keys.js";
import { TakeLane } from "./take_lane.js";
import { mediaOf } from "./take_media.js";
import { matchingGains, SAVED, TakePlayer } from "./take_player.js";
import { PromptStrip } from "./take_prompts.js";
import { SavedFile } from "./take_saved.js";
import { labelOf, Scores } from "./take_scores.js";
import { widgetOf } from "./nodes.js";

const ESTIMATE = 400; // px, before it is drawn
const SHOWN_LANES = 4; // more scroll
const PADDING = 8;

export class TakeView {
  // `onHeight`: after the height has changed; `onItem(index)`: another item of a list is asked for.
  constructor(node, { fileUrl, spectrogramUrl, onHeight, onItem }) {
    Object.assign(this, { node, fileUrl, spectrogramUrl, onHeight, onItem });
    this.data = null;
    this.level = true;
    this.spectra = false;
    this.sorting = IN_ORDER;
    this.previous = 0;
    this.height = PADDING;
    addStyle();
    this.element = make("section", { class: "mmaudio-takes", "aria-label": "Takes", tabindex: "0" });
    // the canvas below would drag the node, zoom, or take the keys as its own
    for (const kind of ["pointerdown", "mousedown", "dblclick", "contextmenu", "wheel", "keyup"])
      this.element.addEventListener(kind, (event) => event.stopPropagation());
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.status = make("p", { class: "status", role: "status" });
    const resized = new ResizeObserver(() => this.draw());
    resized.observe(this.element);
    const themed = new MutationObserver(() => this.inkOf() !== this.ink && this.draw());
    for (const place of [document.documentElement, document.body])
      themed.observe(place, { attributeFilter: ["class", "style"] });
    this.observers = [resized, themed];
  }

  tell(text) {
    this.element.dataset.node = this.node.id;
    this.status.textContent = text;
    if (!this.status.isConnected) this.element.replaceChildren(this.status);
    this.measure();
  }

  // `data`: the takes of one item; `items`: the names of all, if they are several.
  show(data, items = [], item = 0) {
    this.end();
    this.element.dataset.node = this.node.id;
    this.data = data;
    this.items = items;
    this.item = item;
    this.scores = new Scores(data.takes);
    this.height = Math.max(this.height, ESTIMATE);
    this.build();
    this.player = new TakePlayer(this.video, this.audios, {
      duration: data.duration,
      offset: data.audio_start + (data.video?.start ?? 0),
      onTick: (time) => this.axis.showTime(time),
      onState: () => this.bar.showPlaying(this.player.playing),
    });
    this.previous = Math.max(0, Math.min(data.take, data.takes.length - 1));
    this.player.current = this.previous;
    this.pick(this.previous, false);
    this.setLevel(this.level);
    this.showKept();
    this.setSpectra(this.spectra);
    this.sort(this.sorting, false);
    const left = data.count - data.takes.length;
    this.status.textContent = left > 0 ? `${left} more takes are not shown.` : "";
    this.draw();
  }

  build() {
    const { data } = this;
    const tell = (text) => this.tell(text);
    Object.assign(this, mediaOf(data, this.fileUrl, tell));
    this.video?.addEventListener("loadedmetadata", () => {
      if (!this.player.playing) this.player.seek(this.player.place);
    });
    this.pictured = data.saved?.[0];
    this.axis = new TimeAxis(data, {
      onSeek: (time) => this.player.seek(time),
      onRegion: (region) => {
        this.setRegion(region);
        if (region) tell(writeRegion(this.node, ...region));
      },
    });
    const pick = (take) => this.pick(take);
    const acts = { pick, keep: (take) => this.keep(take), tell, spectrogramUrl: this.spectrogramUrl };
    this.lanes = data.takes.map((take, index) => new TakeLane(take, index, acts));
    for (const { sound, index } of this.lanes) this.axis.watch(sound, () => this.pick(index));
    this.list = make("ul", { class: "lanes" });
    if (!this.scores.names.includes(this.sorting)) this.sorting = IN_ORDER;
    this.bar = new TakeBar(this);
    const timeAt = (event) => this.axis.timeAt(event);
    this.schedule = PromptStrip.above(this.node, data.duration, { timeAt, tell });
    this.saved = data.saved?.length
      ? new SavedFile(data.saved, data.take === -1, {
          fileUrl: this.fileUrl,
          pick: () => this.pick(this.player.current === SAVED ? this.previous : SAVED),
          enlarge: () => this.video?.requestFullscreen?.(),
        })
      : null;
    const time = make("div", { class: "time" }, [this.axis.slider]);
    if (this.schedule) time.append(this.schedule.element);
    time.append(this.list, this.axis.mark, this.axis.playhead);
    const { bar, choices } = this.bar;
    const parts = [this.video, ...this.audios, bar, choices, time, this.saved?.element, this.status];
    this.element.replaceChildren(...parts.filter(Boolean));
  }

  // --- what is done; take_bar.js and take_keys.js call it

  pause() {
    if (this.player?.playing) this.player.pause();
  }

  async togglePlay() {
    if (!this.player) return;
    if (this.player.playing) this.player.pause();
    else await this.player.play().catch(({ message }) => this.tell(`This cannot be played: ${message}`));
  }

  // Hear a take, or the file that was saved.
  pick(take, tell = true) {
    const { player, saved } = this;
    if (!player || (take === SAVED ? !saved || !this.video : !this.audios[take])) return;
    if (take !== player.current) this.previous = player.current;
    if (take === SAVED && saved.file !== this.pictured) {
      this.pause();
      this.pictured = saved.file;
      this.video.src = saved.url;
    }
    player.pick(take);
    if (take !== SAVED) saved?.showTake(take);
    saved?.showPicked(take === SAVED);
    for (const [index, lane] of this.lanes.entries()) lane.showPicked(index === take);
    this.bar.showCompared(take, this.previous);
    if (tell) this.tell(take === SAVED ? "The saved file is heard, as it is." : `Take ${take} is heard.`);
  }

  keep(take) {
    const isSet = setWidgets(this.node, { take });
    this.showKept();
    const kept = `Take ${take} is kept. Run again to pass it on.`;
    this.tell(isSet ? kept : "The take comes from another node: choose it there.");
  }

  showKept() {
    if (!this.data) return;
    const kept = Number(widgetOf(this.node, "take")?.value);
    for (const [index, lane] of this.lanes.entries()) lane.showKept(index === kept || kept === -1);
  }

  sort(name, tell = true) {
    this.sorting = name;
    for (const take of this.scores.order(name)) {
      this.lanes[take].showScores(this.scores.of(take, name));
      this.list.append(this.lanes[take].element);
    }
    this.measure();
    if (tell) this.tell(`Takes are sorted by ${name === IN_ORDER ? "number" : labelOf(name)}.`);
  }

  toggleLoop() {
    this.setRegion(this.player.region ? null : (this.marked ?? [0, this.data.duration]));
  }

  setRegion(region) {
    this.player.region = region;
    if (region) this.marked = region;
    this.bar.showPressed("loop", Boolean(region));
    this.axis.showRegion(region);
  }

  setLevel(isMatched) {
    this.level = isMatched;
    const levels = this.data.takes.map(({ loudness }) => (this.level ? loudness : null));
    this.player.setGains(matchingGains(levels));
    this.bar.showPressed("level", this.level);
  }

  setSpectra(areShown) {
    this.spectra = areShown;
    for (const lane of this.lanes) lane.showSpectrogram(this.spectra);
    this.bar.showPressed("spectra", this.spectra);
    this.draw();
  }

  onKey(event) {
    event.stopPropagation(); // keys of the page are not meant: Delete would delete the node
    const act = this.player && actOfKey(this, event);
    if (!act) return;
    event.preventDefault();
    act();
  }

  // --- what is seen

  draw() {
    if (!this.element.clientWidth) return;
    this.measure();
    if (!this.data) return;
    this.ink = this.inkOf();
    this.axis.draw(this.ink);
    for (const lane of this.lanes) lane.draw(this.ink);
    this.axis.showTime(this.player.time);
  }

  inkOf() {
    return getComputedStyle(this.element).color;
  }

  // Texts wrap, so that the height depends on the width.
  measure() {
    if (!this.element.clientWidth) return;
    if (this.data) {
      const lanes = [...this.list.children].slice(0, SHOWN_LANES);
      const height = lanes.reduce((sum, lane) => sum + lane.offsetHeight, 0);
      this.list.style.maxHeight = `${height}px`;
    }
    const seen = [...this.element.children].filter((part) => part.offsetHeight);
    const [first, last] = [seen[0], seen.at(-1)];
    const height = last.offsetTop + last.offsetHeight - first.offsetTop + PADDING;
    if (height === this.height) return;
    this.height = height;
    this.onHeight();
  }

  // Not used again.
  dispose() {
    for (const observer of this.observers) observer.disconnect();
    this.end();
  }

  end() {
    this.player?.end();
    this.player = null;
    this.data = null;
  }
}
