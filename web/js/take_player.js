// Plays a picture with several takes of its sound: all run at once, and one is heard.
const CLOSE = 0.04; // s that a silent take may be off when it is switched to
const NEAR = 0.008; // s that something may be off without being sped up
const FAR = 0.5; // s beyond which a place is sought instead
const HURRY = 6; // by how much faster for each second that it is off, ...
const MAX_HURRY = 0.5; // ... and at most
const RATE_STEP = 1 / 32; // a new speed takes effect at some cost
const LOAD_MS = 4000;
const DECIBELS = 20; // of a factor of ten

export const SAVED = -1; // instead of the number of a take: the sound that the picture itself has

export class TakePlayer {
  // `video` may be null; `offset`: where in it the sound begins, in seconds; below 0, before it.
  constructor(video, audios, { offset, duration, onTick, onState }) {
    Object.assign(this, { video, audios, offset, duration, onTick, onState });
    this.current = 0;
    this.playing = false;
    this.gains = audios.map(() => 1);
    this.region = null; // [start, end] that is repeated
    this.place = 0; // seconds of the sound, while nothing plays
    this.frame = 0;
    this.hear();
  }

  get heard() {
    return this.current === SAVED ? this.video : this.audios[this.current];
  }

  get time() {
    return this.playing ? this.timeOf(this.heard) : this.place;
  }

  // Where an element is, in seconds of the sound.
  timeOf(media) {
    return media.currentTime - (media === this.video ? this.offset : 0);
  }

  async play() {
    if (this.playing || !this.audios.length) return;
    await Promise.all(this.audios.map(loaded));
    if (this.region && !this.inRegion(this.place)) this.seek(this.region[0]);
    else this.seek(this.place >= this.duration - 0.05 ? 0 : this.place);
    this.playing = true;
    this.hear();
    const starting = this.audios.map((audio) => audio.play());
    if (this.video && this.place + this.offset >= 0) starting.push(this.video.play());
    try {
      await Promise.all(starting);
    } catch (error) {
      this.pause();
      throw error;
    }
    this.onState();
    this.watch();
  }

  pause() {
    this.place = Math.min(Math.max(0, this.time), this.duration);
    this.playing = false;
    cancelAnimationFrame(this.frame);
    for (const media of this.all()) {
      media.pause();
      media.playbackRate = 1;
    }
    this.hear();
    this.onState();
    this.onTick(this.place);
  }

  // Go to a time of the sound.
  seek(time) {
    this.place = Math.min(Math.max(0, time), this.duration);
    for (const audio of this.audios) if (audio.readyState > 0) audio.currentTime = this.place;
    if (this.video) this.video.currentTime = Math.max(0, this.place + this.offset);
    this.onTick(this.place);
  }

  // Hear another take, or the picture's own sound, in place.
  pick(take) {
    const { time } = this;
    this.current = take;
    const { heard } = this;
    if (this.playing && Math.abs(this.timeOf(heard) - time) > CLOSE)
      heard.currentTime = time + (heard === this.video ? this.offset : 0);
    if (heard) heard.playbackRate = 1;
    this.hear();
  }

  setGains(gains) {
    this.gains = gains;
    this.hear();
  }

  hear() {
    for (const [index, audio] of this.audios.entries()) {
      audio.volume = this.gains[index];
      audio.muted = index !== this.current || !this.playing;
    }
    if (this.video) this.video.muted = this.current !== SAVED;
  }

  all() {
    return this.video ? [this.video, ...this.audios] : this.audios;
  }

  inRegion(time) {
    return time >= this.region[0] && time < this.region[1];
  }

  watch() {
    this.frame = requestAnimationFrame(() => {
      if (!this.playing) return;
      const { heard, time } = this;
      if (this.region && time >= this.region[1]) this.seek(this.region[0]);
      else if (heard.ended || time >= this.duration) {
        this.pause();
        return;
      } else this.follow(time);
      this.onTick(this.time);
      this.watch();
    });
  }

  // Everything else keeps to what is heard: by its speed, which nobody hears.
  follow(time) {
    for (const audio of this.audios) if (audio !== this.heard) keepTo(audio, time);
    const { video } = this;
    if (!video || video === this.heard || video.readyState < 2) return;
    const wanted = time + this.offset;
    if (wanted >= 0 && wanted <= video.duration) {
      if (video.paused) video.play().catch(() => {});
      keepTo(video, wanted);
    } else if (!video.paused) video.pause();
  }

  end() {
    if (this.playing) this.pause();
    for (const media of this.all()) {
      media.removeAttribute("src");
      media.load();
    }
  }
}

// Volumes at which takes are equally loud: as loud as the quietest, since a browser makes nothing louder.
// `levels`: LUFS, or null for a take that is left as it is.
export function matchingGains(levels) {
  const quietest = Math.min(...levels.map((level) => level ?? Infinity));
  return levels.map((level) => (level === null ? 1 : 10 ** ((quietest - level) / DECIBELS)));
}

function keepTo(media, time) {
  const late = time - media.currentTime;
  if (Math.abs(late) > FAR) media.currentTime = time;
  const hurry = Math.min(MAX_HURRY, Math.max(-MAX_HURRY, HURRY * late));
  const rate = Math.abs(late) > NEAR ? 1 + Math.round(hurry / RATE_STEP) * RATE_STEP : 1;
  if (media.playbackRate !== rate) media.playbackRate = rate;
}

// Resolves once a take can be played, or after a while: one that is missing does not hold up others.
function loaded(audio) {
  if (audio.readyState >= 3) return Promise.resolve();
  return new Promise((done) => {
    const timer = setTimeout(done, LOAD_MS);
    for (const kind of ["canplay", "error"])
      audio.addEventListener(kind, () => (clearTimeout(timer), done()), { once: true });
    audio.preload = "auto";
    audio.load();
  });
}
