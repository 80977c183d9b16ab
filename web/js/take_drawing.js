// What the take panel draws: waveforms and the time axis.
const TICK_PX = 44; // at least, between two of them
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300];

// Low and high of each stretch, from -1 to 1.
export function decodePeaks(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return Array.from(new Int8Array(bytes.buffer), (value) => value / 127);
}

export function drawWaveform(canvas, peaks, color) {
  const context = fit(canvas);
  const { clientWidth: width, clientHeight: height } = canvas;
  const count = peaks.length / 2;
  context.fillStyle = color;
  for (let x = 0; x < width; x++) {
    let [low, high] = [1, -1];
    const first = Math.floor((x * count) / width);
    const last = Math.max(first + 1, Math.ceil(((x + 1) * count) / width));
    for (let index = first; index < Math.min(last, count); index++) {
      low = Math.min(low, peaks[2 * index]);
      high = Math.max(high, peaks[2 * index + 1]);
    }
    const top = ((1 - high) / 2) * height;
    context.fillRect(x, top, 1, Math.max(1, ((high - low) / 2) * height));
  }
}

// Times on the axis, the cuts of the picture as lines, and the windows of long sound as brackets.
export function drawRuler(canvas, { duration, cuts, windows }, color) {
  const context = fit(canvas);
  const { clientWidth: width, clientHeight: height } = canvas;
  const place = (time) => (time / duration) * width;
  context.fillStyle = context.strokeStyle = color;
  context.font = "11px sans-serif";
  context.textBaseline = "top";
  const step = STEPS.find((size) => (width * size) / duration >= TICK_PX) ?? duration;
  for (let time = 0; time <= duration + 1e-6; time += step) {
    const x = Math.min(place(time), width - 1);
    context.fillRect(x, 0, 1, 5);
    const text = duration < 60 ? `${Math.round(time * 10) / 10} s` : formatTime(time, duration);
    const room = context.measureText(text).width;
    // the first one beside the playhead, which begins there
    context.fillText(text, Math.min(Math.max(3, x - room / 2), width - room), 6);
  }
  for (const [index, [start, end]] of windows.entries()) {
    const y = height - 3 - (index % 2) * 3;
    context.fillRect(place(start), y, place(Math.min(end, duration)) - place(start), 1.5);
  }
  context.setLineDash([2, 2]);
  for (const cut of cuts) {
    context.beginPath();
    context.moveTo(place(cut), 0);
    context.lineTo(place(cut), height);
    context.stroke();
  }
}

// Minutes and seconds, as many digits as a sound of that duration needs.
export function formatTime(time, duration) {
  if (duration < 60) return time.toFixed(1);
  const seconds = Math.floor(time);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

// The canvas at the pixels of the screen, empty.
function fit(canvas) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return context;
}
