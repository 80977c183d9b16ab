// What is measured of takes: how it is called, its unit, and which way is better.
const share = (digits) => (value) => `${(100 * value).toFixed(digits)} %`;
const plain = (value) => value.toFixed(2);
const shift = (value) => `${value > 0 ? "+" : ""}${Math.round(value * 1000)} ms`;
const high = (value) => value;
const low = (value) => -value;
const near = (value) => -Math.abs(value);

// `worth`: higher is better; without it, none is best, and the highest is listed first.
const SCORES = {
  total: { label: "total", text: plain, worth: high, help: "All scores together; 1 is best" },
  desync: {
    label: "desync",
    text: (value) => `${value.toFixed(2)} s`,
    worth: low,
    help: "How far sound and picture are apart, by Synchformer; 0 is best",
  },
  sync_offset: {
    label: "sync offset",
    text: shift,
    worth: near,
    help: "How late the sound is, by Synchformer; below 0, early",
  },
  agreement: {
    label: "agreement",
    text: share(0),
    worth: high,
    help: "How much of the sound picture and prompt explain, by the flow network",
  },
  onset_match: {
    label: "onset match",
    text: plain,
    worth: high,
    help: "How well the sound's onsets go with the picture's motion; 1 is best",
  },
  onset_offset: {
    label: "onset offset",
    text: shift,
    worth: near,
    help: "How late the sound's onsets are, against the picture's motion; below 0, early",
  },
  voice: { label: "voice", text: share(0), worth: low, help: "Part of the take with a voice" },
  silence: { label: "silence", text: share(0), worth: low, help: "Part of the take that is silent" },
  clipping: {
    label: "clipping",
    text: share(2),
    worth: low,
    help: "Part of the samples that are clipped",
  },
  loudness: { label: "loudness", text: (value) => `${value.toFixed(1)} LUFS`, help: "" },
};

export class Scores {
  // Of takes in their own order; each has `scores`, numbers or null by name, or none at all.
  constructor(takes) {
    this.takes = takes.map((take) => (isObject(take.scores) ? take.scores : {}));
    const names = new Set([...Object.keys(SCORES), ...this.takes.flatMap(Object.keys)]);
    const told = [...names].filter((name) => this.takes.some((scores) => name in scores));
    this.names = told.filter((name) => this.values(name).some(isNumber));
    this.missing = told.filter((name) => !this.names.includes(name)).map(labelOf);
  }

  values(name) {
    return this.takes.map((scores) => scores[name]);
  }

  // The takes that are best by a score: none if it tells nothing apart.
  best(name) {
    const { worth, text } = SCORES[name] ?? {};
    const measured = this.values(name).filter(isNumber);
    if (!worth || new Set(measured.map(text)).size < 2) return [];
    const top = Math.max(...measured.map(worth));
    return [...this.takes.keys()].filter((take) => {
      const value = this.takes[take][name];
      return isNumber(value) && worth(value) === top;
    });
  }

  // The numbers of the takes, best first by that score; what was not measured comes last.
  order(name) {
    const rank = (take) => {
      const value = this.takes[take][name];
      return isNumber(value) ? (SCORES[name]?.worth ?? high)(value) : -Infinity;
    };
    const takes = [...this.takes.keys()];
    // infinities are not subtracted
    return this.names.includes(name)
      ? takes.sort((a, b) => (rank(a) === rank(b) ? a - b : rank(b) - rank(a)))
      : takes;
  }

  // What is told of a take, the score `first` before all others.
  of(take, first) {
    const names = [...this.names].sort((a, b) => (b === first) - (a === first));
    return names.map((name) => {
      const value = this.takes[take][name];
      const text = isNumber(value) ? minus((SCORES[name]?.text ?? plain)(value)) : "not measured";
      return {
        name,
        // a loudness tells by its unit what it is
        text: name === "loudness" && isNumber(value) ? text : `${labelOf(name)} ${text}`,
        help: SCORES[name]?.help ?? "",
        best: this.best(name).includes(take),
      };
    });
  }
}

export function labelOf(name) {
  return SCORES[name]?.label ?? name.replaceAll("_", " ");
}

// A number below 0 as it is typeset.
export function minus(text) {
  return text.replace("-", "−");
}

function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

function isObject(value) {
  return typeof value === "object" && value !== null;
}
