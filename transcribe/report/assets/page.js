"use strict";
// A piano roll on a canvas, and a player beside it. Times are seconds; the notes come as flat rows of whole numbers:
// onset ms, length ms, pitch, velocity, confidence in percent, kind (0 heard, 1 hit, 2 missed, 3 extra). Where they are
// known, there are the instrument of each note, their colours, and drums: onset ms, row, velocity.

const FIELDS = 6;
const KEYS_WIDTH = 42; // px, left of the notes
const AXIS_HEIGHT = 22;
const LANE_HEIGHT = 24; // chords, pedal
const DRUM_ROWS = 5, DRUM_HEIGHT = 7; // px a row
const LONGEST_VIEW = 180; // s across the widest view; the overview shows the rest
const SHORTEST_VIEW = 1;
const INDEX_SECONDS = 5;
const LOUDNESS_STEPS = 16;
const VIRIDIS = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129],
  [92, 200, 99], [170, 220, 50], [253, 231, 37]];
const BLACK_KEYS = new Set([1, 3, 6, 8, 10]);

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const clock = (seconds) => {
  const whole = Math.floor(seconds), minutes = Math.floor(whole / 60);
  const two = (n) => String(n).padStart(2, "0");
  return minutes < 60 ? `${minutes}:${two(whole % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
};
const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const pitchName = (pitch) => `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const dark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

class Roll {
  // element: holds the roll, takes the keyboard. seek(seconds) is called when the listener points somewhere.
  constructor(element, data, seek) {
    Object.assign(this, { element, data, seek, position: 0, start: 0, span: Math.min(20, Math.max(data.duration, 2)) });
    this.canvas = element.appendChild(document.createElement("canvas"));
    this.canvas.setAttribute("aria-hidden", "true");
    this.overview = document.createElement("div");
    this.overview.className = "roll overview";
    element.after(this.overview);
    this.overviewCanvas = this.overview.appendChild(document.createElement("canvas"));
    this.overviewCanvas.setAttribute("aria-hidden", "true");
    this.background = document.createElement("canvas");
    const pitches = [];
    for (let i = 0; i < data.notes.length; i += FIELDS) pitches.push(data.notes[i + 2]);
    // Two octaves at least, and some air around the notes.
    this.low = clamp(pitches.reduce((a, b) => Math.min(a, b), 52) - 2, 0, 127);
    this.high = clamp(pitches.reduce((a, b) => Math.max(a, b), 72) + 2, 0, 127);
    this.index = this.firstSounding();
    this.pointers = new Map();
    this.listen();
    new ResizeObserver(() => this.resize()).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.restyle());
    this.restyle();
  }

  // For every few seconds, the first note that still sounds there: where drawing begins.
  firstSounding() {
    const { notes, duration } = this.data;
    const index = new Array(Math.ceil(duration / INDEX_SECONDS) + 2).fill(notes.length);
    for (let i = 0; i < notes.length; i += FIELDS) {
      const first = Math.floor(notes[i] / 1000 / INDEX_SECONDS);
      const last = Math.floor((notes[i] + notes[i + 1]) / 1000 / INDEX_SECONDS);
      for (let bin = first; bin <= Math.min(last, index.length - 1); bin++) index[bin] = Math.min(index[bin], i);
    }
    for (let bin = index.length - 2; bin >= 0; bin--) index[bin] = Math.min(index[bin], index[bin + 1]);
    return index;
  }

  restyle() {
    this.colours = Object.fromEntries(
      ["paper", "row", "line", "ink", "quiet", "pedal", "cursor", "accent", "hit", "miss", "extra"].map((n) => [n, style(n)]));
    const night = dark();
    this.loudness = Array.from({ length: LOUDNESS_STEPS }, (_, step) => {
      // The loudest stand out most: dark on white, bright on black. The palest tenth of the map would not be seen.
      const share = step / (LOUDNESS_STEPS - 1);
      const at = (night ? 0.25 + 0.75 * share : 0.85 * (1 - share)) * (VIRIDIS.length - 1);
      const i = Math.min(Math.floor(at), VIRIDIS.length - 2);
      const mixed = VIRIDIS[i].map((c, k) => Math.round(c + (at - i) * (VIRIDIS[i + 1][k] - c)));
      return `rgb(${mixed.join(",")})`;
    });
    const stripes = document.createElement("canvas");
    stripes.width = stripes.height = 6;
    const brush = stripes.getContext("2d");
    brush.strokeStyle = this.colours.extra;
    brush.lineWidth = 1.5;
    for (const x of [-6, 0, 6]) { brush.moveTo(x, 6); brush.lineTo(x + 6, 0); }
    brush.stroke();
    this.hatch = brush.createPattern(stripes, "repeat");
    this.resize();
  }

  resize() {
    const width = this.element.clientWidth;
    if (!width) return;
    const rows = this.high - this.low + 1;
    this.rowHeight = clamp(Math.floor((innerHeight * 0.6) / rows), 5, 12);
    this.lanes = LANE_HEIGHT * ((this.data.chords.length > 0) + (this.data.pedals.length > 0)) + this.drumLane;
    this.width = width;
    this.height = rows * this.rowHeight + this.lanes + AXIS_HEIGHT;
    const ratio = devicePixelRatio || 1;
    this.canvas.style.height = `${this.height}px`;
    for (const [canvas, w, h] of [[this.canvas, width, this.height],
      [this.overviewCanvas, this.overview.clientWidth, this.overview.clientHeight],
      [this.background, this.overview.clientWidth, this.overview.clientHeight]]) {
      canvas.width = Math.round(w * ratio);
      canvas.height = Math.round(h * ratio);
      canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    this.drawBackground();
    this.draw();
  }

  get drumLane() { return this.data.drums ? DRUM_ROWS * DRUM_HEIGHT + 6 : 0; }
  get scale() { return (this.width - KEYS_WIDTH) / this.span; }
  x(seconds) { return KEYS_WIDTH + (seconds - this.start) * this.scale; }
  y(pitch) { return (this.high - pitch) * this.rowHeight; }
  timeAt(clientX) {
    const left = this.canvas.getBoundingClientRect().left;
    return this.start + (clientX - left - KEYS_WIDTH) / this.scale;
  }

  scrollTo(start) {
    this.start = clamp(start, 0, Math.max(0, this.data.duration - this.span));
    this.request();
  }

  zoom(factor, around = this.start + this.span / 2) {
    const longest = Math.min(LONGEST_VIEW, Math.max(this.data.duration, SHORTEST_VIEW));
    const span = clamp(this.span * factor, SHORTEST_VIEW, longest);
    const start = around - ((around - this.start) * span) / this.span;
    this.span = span;
    this.scrollTo(start);
  }

  // Keep the cursor in view: a third from the left while it runs.
  follow(seconds, running) {
    this.position = seconds;
    if (running) this.scrollTo(seconds - this.span / 3);
    else if (seconds < this.start || seconds > this.start + this.span) this.scrollTo(seconds - this.span / 3);
    this.request();
  }

  request() {
    if (this.requested) return;
    this.requested = true;
    requestAnimationFrame(() => { this.requested = false; this.draw(); });
  }

  draw() {
    const g = this.canvas.getContext("2d"), { colours, width, height } = this;
    g.fillStyle = colours.paper;
    g.fillRect(0, 0, width, height);
    this.drawGrid(g);
    g.save();
    g.beginPath();
    g.rect(KEYS_WIDTH, 0, width - KEYS_WIDTH, height);
    g.clip();
    this.drawNotes(g);
    this.drawLanes(g);
    const x = this.x(this.position);
    g.fillStyle = colours.cursor;
    g.fillRect(x - 1, 0, 2, height - AXIS_HEIGHT);
    g.restore();
    this.drawKeys(g);
    this.drawOverview();
  }

  drawGrid(g) {
    const bottom = this.y(this.low - 1), right = this.width;
    g.fillStyle = this.colours.row;
    for (let pitch = this.low; pitch <= this.high; pitch++)
      if (BLACK_KEYS.has(pitch % 12)) g.fillRect(KEYS_WIDTH, this.y(pitch), right, this.rowHeight);
    g.fillStyle = this.colours.line;
    for (let pitch = Math.ceil(this.low / 12) * 12; pitch <= this.high; pitch += 12)
      g.fillRect(KEYS_WIDTH, this.y(pitch - 1), right, 1);
    g.fillRect(KEYS_WIDTH, bottom, right, 1);
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60].find((s) => s * this.scale >= 64) || 60;
    g.font = "12px system-ui, sans-serif";
    g.textBaseline = "middle";
    g.textAlign = "center";
    const axis = this.height - AXIS_HEIGHT / 2;
    for (let n = Math.ceil(this.start / step); n * step <= this.start + this.span; n++) {
      const x = this.x(n * step), tenths = step < 1 ? `.${Math.round(n * step * 10) % 10}` : "";
      g.fillStyle = this.colours.line;
      g.fillRect(x, 0, 1, bottom + this.lanes + 4);
      g.fillStyle = this.colours.quiet;
      if (x > KEYS_WIDTH + 14 && x < this.width - 16) g.fillText(clock(n * step + 1e-6) + tenths, x, axis);
    }
    g.fillStyle = this.colours.quiet;
    g.globalAlpha = 0.35;
    for (const beat of this.data.beats)
      if (beat >= this.start && beat <= this.start + this.span) g.fillRect(this.x(beat), 0, 1, bottom);
    g.globalAlpha = 1;
  }

  drawNotes(g) {
    const { notes, colours } = this.data, from = this.start * 1000, to = (this.start + this.span) * 1000;
    const plain = Array.from({ length: LOUDNESS_STEPS }, () => []), unsure = [], hits = [], misses = [], extras = [];
    const first = this.index[clamp(Math.floor(this.start / INDEX_SECONDS), 0, this.index.length - 1)];
    for (let i = first; i < notes.length && notes[i] < to; i += FIELDS) {
      if (notes[i] + notes[i + 1] < from) continue;
      const [kind, velocity] = [notes[i + 5], notes[i + 3]];
      const thick = kind ? 0.84 : 0.45 + 0.5 * (velocity / 127);
      const h = Math.max(2, this.rowHeight * thick);
      const box = [this.x(notes[i] / 1000), this.y(notes[i + 2]) + (this.rowHeight - h) / 2,
        Math.max(2, (notes[i + 1] / 1000) * this.scale - 1), h];
      if (kind) [hits, misses, extras][kind - 1].push(box);
      else {
        const step = Math.min(Math.floor((velocity / 128) * LOUDNESS_STEPS), LOUDNESS_STEPS - 1);
        if (colours) {
          // Strength says how loud a note is, its colour who plays.
          g.globalAlpha = 0.4 + 0.6 * (velocity / 127);
          g.fillStyle = colours[this.data.instruments[i / FIELDS]] || this.colours.quiet;
          g.fillRect(...box);
          g.globalAlpha = 1;
          if (notes[i + 4] < 50) unsure.push(box);
        } else (notes[i + 4] < 50 ? unsure : plain[step]).push(box);
      }
    }
    const fill = (boxes, colour) => {
      g.fillStyle = colour;
      for (const box of boxes) g.fillRect(...box);
    };
    const outline = (boxes, colour, thickness) => {
      g.strokeStyle = colour;
      g.lineWidth = thickness;
      for (const [x, y, w, h] of boxes)
        g.strokeRect(x + thickness / 2, y + thickness / 2, Math.max(w - thickness, 1), Math.max(h - thickness, 1));
    };
    plain.forEach((boxes, step) => fill(boxes, this.loudness[step]));
    outline(unsure, this.colours.ink, 1);
    fill(hits, this.colours.hit);
    fill(extras, this.hatch);
    outline(extras, this.colours.extra, 1);
    outline(misses, this.colours.miss, this.rowHeight < 8 ? 1 : 2);
  }

  drawLanes(g) {
    const { chords, pedals, drums } = this.data, end = this.start + this.span;
    let top = this.y(this.low - 1) + 2;
    g.fillStyle = this.colours.ink;
    for (const [onset, row, velocity] of drums || []) {
      const seconds = onset / 1000, h = (DRUM_HEIGHT - 1) * (0.3 + 0.7 * (velocity / 127));
      if (seconds >= this.start && seconds <= end)
        g.fillRect(this.x(seconds), top + (DRUM_ROWS - row) * DRUM_HEIGHT - h, 2, h);
    }
    top += this.drumLane;
    g.textAlign = "left";
    if (chords.length) {
      g.font = "600 13px system-ui, sans-serif";
      let free = -Infinity; // a name never covers the next
      for (const [onset, offset, name] of chords) {
        if (offset < this.start || onset > end) continue;
        const x = Math.max(this.x(onset), KEYS_WIDTH);
        g.fillStyle = this.colours.line;
        g.fillRect(this.x(onset), top, 1, LANE_HEIGHT - 4);
        if (x + 4 < free) continue;
        g.fillStyle = this.colours.ink;
        g.fillText(name, x + 4, top + LANE_HEIGHT / 2);
        free = x + 8 + g.measureText(name).width;
      }
      top += LANE_HEIGHT;
    }
    g.fillStyle = this.colours.pedal;
    for (let i = 0; i < pedals.length; i += 2) {
      const [onset, offset] = [pedals[i] / 1000, pedals[i + 1] / 1000];
      if (offset >= this.start && onset <= end)
        g.fillRect(this.x(onset), top + LANE_HEIGHT / 2 - 3, Math.max(2, (offset - onset) * this.scale - 2), 6);
    }
  }

  drawKeys(g) {
    const wide = KEYS_WIDTH - 2, night = dark();
    g.fillStyle = this.colours.paper;
    g.fillRect(0, 0, KEYS_WIDTH, this.height);
    g.fillStyle = night ? "#c9cfd6" : "#ffffff";
    g.fillRect(0, 0, wide, this.y(this.low - 1));
    g.textAlign = "right";
    g.font = `${clamp(this.rowHeight, 8, 11)}px system-ui, sans-serif`;
    for (let pitch = this.low; pitch <= this.high; pitch++) {
      const y = this.y(pitch);
      if (BLACK_KEYS.has(pitch % 12)) {
        g.fillStyle = "#22262c";
        g.fillRect(0, y, wide * 0.58, this.rowHeight);
      } else if (pitch % 12 === 0 || pitch % 12 === 5) {
        g.fillStyle = "#8b939d";
        g.fillRect(0, y + this.rowHeight, wide, 1);
      }
      if (pitch % 12 === 0) {
        g.fillStyle = "#22262c";
        g.fillText(pitchName(pitch), wide - 2, y + this.rowHeight / 2);
      }
    }
    g.fillStyle = this.colours.line;
    g.fillRect(wide, 0, 1, this.y(this.low - 1));
    g.font = "italic 12px system-ui, sans-serif";
    g.fillStyle = this.colours.quiet;
    if (this.data.drums) g.fillText("Drums", wide - 2, this.y(this.low - 1) + this.drumLane / 2);
    if (this.data.pedals.length) g.fillText("Ped.", wide - 2, this.y(this.low - 1) + this.lanes - LANE_HEIGHT / 2 + 2);
  }

  // All the notes once, small; a frame then copies them.
  drawBackground() {
    const g = this.background.getContext("2d"), { notes, duration } = this.data;
    const w = this.overview.clientWidth, h = this.overview.clientHeight, rows = this.high - this.low + 1;
    g.fillStyle = this.colours.paper;
    g.fillRect(0, 0, w, h);
    g.fillStyle = this.colours.quiet;
    g.globalAlpha = 0.55;
    for (let i = 0; i < notes.length; i += FIELDS)
      g.fillRect((notes[i] / 1000 / duration) * w, 2 + ((this.high - notes[i + 2]) / rows) * (h - 4),
        Math.max(0.75, (notes[i + 1] / 1000 / duration) * w), 1.5);
    g.globalAlpha = 1;
  }

  drawOverview() {
    const g = this.overviewCanvas.getContext("2d"), w = this.overview.clientWidth, h = this.overview.clientHeight;
    const at = (seconds) => (seconds / this.data.duration) * w;
    g.drawImage(this.background, 0, 0, w, h);
    g.fillStyle = this.colours.accent;
    g.globalAlpha = 0.15;
    g.fillRect(at(this.start), 0, at(this.span), h);
    g.globalAlpha = 1;
    g.strokeStyle = this.colours.accent;
    g.lineWidth = 1.5;
    g.strokeRect(at(this.start) + 1, 1, Math.max(at(this.span) - 2, 2), h - 2);
    g.fillStyle = this.colours.cursor;
    g.fillRect(at(this.position) - 1, 0, 2, h);
  }

  listen() {
    const { element, overview, pointers } = this;
    element.addEventListener("wheel", (event) => {
      const sideways = event.shiftKey ? event.deltaX || event.deltaY : event.deltaX;
      if (event.ctrlKey || event.metaKey) this.zoom(1.0015 ** event.deltaY, this.timeAt(event.clientX));
      else if (sideways) this.scrollTo(this.start + sideways / this.scale);
      else return; // the page scrolls
      event.preventDefault();
    }, { passive: false });
    element.addEventListener("pointerdown", (event) => {
      if (!pointers.size) this.moved = 0;
      pointers.set(event.pointerId, event.clientX);
      element.setPointerCapture(event.pointerId);
    });
    element.addEventListener("pointermove", (event) => {
      if (!pointers.has(event.pointerId)) return;
      const before = [...pointers.values()];
      const moved = event.clientX - pointers.get(event.pointerId);
      pointers.set(event.pointerId, event.clientX);
      const now = [...pointers.values()];
      this.moved += Math.abs(moved);
      if (now.length === 2) {
        const apart = ([a, b]) => Math.max(Math.abs(a - b), 10);
        this.zoom(apart(before) / apart(now), this.timeAt((now[0] + now[1]) / 2));
      } else if (this.moved > 4) this.scrollTo(this.start - moved / this.scale);
    });
    element.addEventListener("pointerup", (event) => {
      if (pointers.delete(event.pointerId) && !pointers.size && this.moved <= 4)
        this.seek(clamp(this.timeAt(event.clientX), 0, this.data.duration));
    });
    element.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
    const jump = (event) => {
      const box = overview.getBoundingClientRect();
      this.seek(clamp((event.clientX - box.left) / box.width, 0, 1) * this.data.duration);
    };
    overview.addEventListener("pointerdown", (event) => { overview.setPointerCapture(event.pointerId); jump(event); });
    overview.addEventListener("pointermove", (event) => { if (event.buttons) jump(event); });
  }
}

class Player {
  constructor(section, data) {
    this.section = section;
    this.slider = section.querySelector("#roll");
    this.sounds = {};
    for (const name of ["recording", "transcription"]) {
      const text = document.getElementById(`sound-${name}`);
      if (text) this.sounds[name] = new Audio(this.url(text.textContent));
    }
    this.sound = this.sounds.recording || this.sounds.transcription || null;
    this.duration = data.duration;
    this.position = 0;
    this.roll = new Roll(this.slider, data, (seconds) => this.seek(seconds));
    this.bind();
    this.show(false);
  }

  url(base64) {
    const bytes = Uint8Array.from(atob(base64.trim()), (letter) => letter.charCodeAt(0));
    return URL.createObjectURL(new Blob([bytes], { type: "audio/mpeg" }));
  }

  get playing() { return Boolean(this.sound) && !this.sound.paused; }

  bind() {
    const find = (id) => document.getElementById(id);
    find("zoom-in").addEventListener("click", () => this.roll.zoom(1 / 1.5));
    find("zoom-out").addEventListener("click", () => this.roll.zoom(1.5));
    this.section.addEventListener("keydown", (event) => this.key(event));
    if (!this.sound) return;
    find("play").addEventListener("click", () => this.toggle());
    find("speed").addEventListener("change", (event) => {
      for (const sound of Object.values(this.sounds)) sound.playbackRate = Number(event.target.value);
    });
    for (const choice of this.section.querySelectorAll("input[name=sound]"))
      choice.addEventListener("change", () => this.change(choice.value));
    for (const sound of Object.values(this.sounds)) {
      for (const event of ["play", "pause", "ended"]) sound.addEventListener(event, () => this.state());
    }
  }

  key(event) {
    const inControl = /^(BUTTON|SELECT|INPUT|SUMMARY)$/.test(event.target.tagName);
    if (event.altKey || event.ctrlKey || event.metaKey || (inControl && event.target.tagName !== "BUTTON")) return;
    const step = event.shiftKey ? 1 : 5;
    const actions = {
      ArrowLeft: () => this.seek(this.position - step),
      ArrowRight: () => this.seek(this.position + step),
      PageUp: () => this.seek(this.position - 30),
      PageDown: () => this.seek(this.position + 30),
      Home: () => this.seek(0),
      End: () => this.seek(this.duration),
      "+": () => this.roll.zoom(1 / 1.5),
      "=": () => this.roll.zoom(1 / 1.5),
      "-": () => this.roll.zoom(1.5),
      s: () => this.change(this.sound === this.sounds.recording ? "transcription" : "recording"),
      " ": inControl ? null : () => this.toggle(),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  toggle() {
    if (!this.sound) return;
    if (this.playing) this.sound.pause();
    else {
      if (this.position >= this.duration - 0.05) this.seek(0);
      this.start();
    }
  }

  // Who pauses before the first sound has come breaks a promise of the browser's, and means it.
  start() {
    this.sound.play().catch((error) => { if (error.name !== "AbortError") throw error; });
  }

  // The other sound goes on where this one was.
  change(name) {
    const next = this.sounds[name];
    if (!next || next === this.sound) return;
    const running = this.playing;
    const at = running ? this.sound.currentTime : this.position;
    this.sound.pause();
    next.currentTime = Math.min(at, next.duration || at);
    this.sound = next;
    this.section.querySelector(`input[value=${name}]`).checked = true;
    if (running) this.start();
  }

  seek(seconds) {
    this.position = clamp(seconds, 0, this.duration);
    if (this.sound) this.sound.currentTime = this.position;
    this.show(false);
  }

  state() {
    const button = document.getElementById("play");
    button.textContent = this.playing ? "Pause" : "Play";
    if (this.playing && !this.running) this.run();
  }

  run() {
    this.running = this.playing;
    if (!this.running) return;
    this.position = Math.min(this.sound.currentTime, this.duration);
    this.show(true);
    requestAnimationFrame(() => this.run());
  }

  show(running) {
    const text = `${clock(this.position)} / ${clock(this.duration)}`;
    this.roll.follow(this.position, running);
    if (text === this.shown) return;
    this.shown = text;
    document.getElementById("clock").textContent = text;
    this.slider.setAttribute("aria-valuenow", Math.floor(this.position));
    this.slider.setAttribute("aria-valuetext", clock(this.position));
  }
}

const read = (id) => JSON.parse(document.getElementById(id).textContent);

// The notes as text, for those who don't see them: half a minute at a time.
function tableOfNotes(details, player, data) {
  const body = details.querySelector("tbody"), heading = details.querySelector("summary span");
  details.addEventListener("toggle", () => {
    if (!details.open) return;
    const from = player.position, rows = [];
    for (let i = 0; i < data.notes.length; i += FIELDS) {
      const onset = data.notes[i] / 1000;
      if (onset < from || onset > from + 30) continue;
      const [length, pitch, velocity, sure] = data.notes.slice(i + 1, i + 5);
      const instrument = data.instruments ? [data.instruments[i / FIELDS]] : [];
      rows.push([onset.toFixed(2), (length / 1000).toFixed(2), pitchName(pitch), velocity, `${sure} %`, ...instrument]);
    }
    heading.textContent = ` from ${clock(from)} to ${clock(Math.min(from + 30, data.duration))}`;
    body.replaceChildren(...rows.map((row) => {
      const line = document.createElement("tr");
      for (const value of row) line.appendChild(document.createElement("td")).textContent = value;
      return line;
    }));
  });
}

function start() {
  const rolls = [];
  document.getElementById("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    for (const roll of rolls) roll.restyle();
  });
  const section = document.getElementById("player");
  if (section) {
    const data = read("data"), player = new Player(section, data);
    rolls.push(player.roll);
    tableOfNotes(document.getElementById("notes"), player, data);
    window.player = player;
  }
  // Pieces of a data set: each roll is made when it is first opened.
  for (const details of document.querySelectorAll("details.piece")) {
    details.addEventListener("toggle", () => {
      const element = details.querySelector(".roll");
      if (!details.open || element.firstChild) return;
      const roll = new Roll(element, read(element.dataset.source), (seconds) => roll.follow(seconds, false));
      element.addEventListener("keydown", (event) => {
        const move = { ArrowLeft: -5, ArrowRight: 5, PageUp: -30, PageDown: 30 }[event.key];
        if (move) roll.seek(clamp(roll.position + move, 0, roll.data.duration));
        else if ("+=".includes(event.key)) roll.zoom(1 / 1.5);
        else if (event.key === "-") roll.zoom(1.5);
        else return;
        element.setAttribute("aria-valuenow", Math.floor(roll.position));
        element.setAttribute("aria-valuetext", clock(roll.position));
        event.preventDefault();
      });
      rolls.push(roll);
    });
  }
}

start();
