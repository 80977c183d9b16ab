// Plays a picture with several takes of its sound: all run at once, and one is heard.
const CLOSE = 0.04; // s that a silent take may be off when it is switched to
const NEAR = 0.008; // s that something may be off without being sped up
const FAR = 0.5; // s beyond which a place is sought instead
const HURRY = 3; // by how much faster for each second that it is off, ...
const MAX_HURRY = 0.5; // ... and at most
const LOAD_MS = 4000;

export class TakePlayer {
  // `video` may be null; `offset`: where in it the sound begins, in seconds.
  constructor(video, audios, { offset, duration, onTick, onState }) {
    Object.assign(this, { video, audios, offset, duration, onTick, onState });
    this.current = 0;
    this.playing = false;
    this.gains = audios.map(() => 1);
    this.region = null; // [start, end] that is repeated
    this.place = 0; // seconds of the sound, while nothing plays
    this.frame = 0;
    for (const audio of audios) audio.muted = true;
  }

  get time() {
    return this.playing ? this.audios[this.current].currentTime : this.place;
  }

  async play() {
    if (this.playing || !this.audios.length) return;
    const from = this.region ? this.region[0] : this.place >= this.duration - 0.05 ? 0 : this.place;
    await Promise.all(this.audios.map(loaded));
    this.seek(this.region && this.inRegion(this.place) ? this.place : from);
    this.playing = true;
    this.hear(this.current);
    const starting = this.audios.map((audio) => audio.play());
    if (this.video) starting.push(this.video.play());
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
    this.place = this.time;
    this.playing = false;
    cancelAnimationFrame(this.frame);
    for (const audio of this.audios) audio.pause();
    if (this.video) {
      this.video.pause();
      this.video.playbackRate = 1;
    }
    this.onState();
    this.onTick(this.place);
  }

  // Go to a time of the sound.
  seek(time) {
    this.place = Math.min(Math.max(0, time), this.duration);
    for (const audio of this.audios) if (audio.readyState > 0) audio.currentTime = this.place;
    if (this.video) this.video.currentTime = this.place + this.offset;
    this.onTick(this.place);
  }

  // Hear another take, in place.
  pick(take) {
    const next = this.audios[take];
    if (this.playing && Math.abs(next.currentTime - this.time) > CLOSE) next.currentTime = this.time;
    next.playbackRate = 1;
    this.current = take;
    this.hear(take);
  }

  setGains(gains) {
    this.gains = gains;
    this.hear(this.current);
  }

  hear(take) {
    for (const [index, audio] of this.audios.entries()) {
      audio.volume = this.gains[index];
      audio.muted = index !== take || !this.playing;
    }
  }

  inRegion(time) {
    return time >= this.region[0] && time < this.region[1];
  }

  watch() {
    this.frame = requestAnimationFrame(() => {
      if (!this.playing) return;
      const heard = this.audios[this.current];
      const time = heard.currentTime;
      if (this.region && time >= this.region[1]) this.seek(this.region[0]);
      else if (heard.ended || time >= this.duration) {
        this.pause();
        return;
      } else this.follow(time);
      this.onTick(this.time);
      this.watch();
    });
  }

  // Everything else keeps to the take that is heard: by its speed, which nobody hears.
  follow(time) {
    for (const audio of this.audios) if (audio.muted) keepTo(audio, time);
    const { video } = this;
    if (!video || video.readyState < 2) return;
    const wanted = time + this.offset;
    if (wanted <= video.duration) {
      if (video.paused) video.play().catch(() => {});
      keepTo(video, wanted);
    } else if (!video.paused) video.pause();
  }

  end() {
    if (this.playing) this.pause();
    for (const media of [this.video, ...this.audios]) {
      if (!media) continue;
      media.removeAttribute("src");
      media.load();
    }
  }
}

function keepTo(media, time) {
  const late = time - media.currentTime;
  if (Math.abs(late) > FAR) media.currentTime = time;
  const hurry = Math.min(MAX_HURRY, Math.max(-MAX_HURRY, HURRY * late));
  const rate = Math.abs(late) > NEAR ? 1 + hurry : 1;
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
