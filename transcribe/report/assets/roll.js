"use strict";
// The piano roll on a canvas: bars above, keys on the left, notes, lanes of drums, chords and pedal, and all of it once
// more, small. Only what is in view is drawn.

const KEYS_WIDTH = 42; // px, left of the notes
const AXIS_HEIGHT = 22;
const RULER_HEIGHT = 36; // sections and bars
const LANE_HEIGHT = 24; // chords, pedal
const DRUM_ROWS = 5, DRUM_HEIGHT = 7; // px a row
const LONGEST_VIEW = 180; // s across the widest view; the overview shows the rest
const SHORTEST_VIEW = 1;

class Roll {
  // element: holds the roll and takes the keyboard. seek(seconds) is called when the listener points somewhere.
  constructor(element, song, palette, seek) {
    Object.assign(this, { element, palette, seek, position: 0, start: 0, span: 12, selected: null, ghost: null, loop: null, taps: [], share: 0.5 });
    this.surface = new Surface(element, (g, width, height) => this.draw(g, width, height));
    this.canvas = this.surface.canvas;
    this.overview = make("div", { className: "roll overview" });
    element.after(this.overview);
    this.small = new Surface(this.overview, (g, width, height) => this.drawOverview(g, width, height));
    this.background = document.createElement("canvas");
    this.open(song);
    new RollPointer(this);
    new ResizeObserver(() => this.resize()).observe(element);
    palette.changed.on(() => this.resize());
  }

  open(song) {
    const first = !this.song;
    this.song = song;
    [this.low, this.high] = song.range();
    this.ruler = song.bars.length ? RULER_HEIGHT : 0;
    this.drumLane = song.drums.length ? DRUM_ROWS * DRUM_HEIGHT + 6 : 0;
    this.span = Math.min(this.span, Math.max(song.duration, 2));
    if (!first) this.resize();
  }

  resize() {
    const width = this.element.clientWidth;
    if (!width) return;
    const rows = this.high - this.low + 1;
    this.rowHeight = clamp(Math.floor((innerHeight * this.share) / rows), 4, 12);
    this.lanes = LANE_HEIGHT * ((this.song.chords.length > 0) + (this.song.pedals.length > 0)) + this.drumLane;
    this.bottom = this.ruler + rows * this.rowHeight;
    this.surface.resize(width, this.bottom + this.lanes + AXIS_HEIGHT);
    this.small.resize(this.overview.clientWidth, 48);
    this.drawBackground();
  }

  get width() { return this.surface.width; }
  get scale() { return (this.width - KEYS_WIDTH) / this.span; }
  get end() { return this.start + this.span; }
  x(seconds) { return KEYS_WIDTH + (seconds - this.start) * this.scale; }
  y(pitch) { return this.ruler + (this.high - pitch) * this.rowHeight; }
  timeAt(clientX) { return this.start + (clientX - this.canvas.getBoundingClientRect().left - KEYS_WIDTH) / this.scale; }
  pitchAt(clientY) { return this.high - Math.floor((clientY - this.canvas.getBoundingClientRect().top - this.ruler) / this.rowHeight); }
  inNotes(clientY) {
    const y = clientY - this.canvas.getBoundingClientRect().top;
    return y >= this.ruler && y < this.bottom;
  }

  // The note under a pointer: the one that began last.
  noteAt(clientX, clientY) {
    const time = this.timeAt(clientX), pitch = this.pitchAt(clientY), reach = 3 / this.scale;
    let found = null;
    if (this.inNotes(clientY))
      this.song.within(time - reach, time + reach, (note) => { if (note.pitch === pitch) found = note; });
    return found;
  }

  request() { this.surface.request(); this.small.request(); }

  scrollTo(start) {
    this.start = clamp(start, 0, Math.max(0, this.song.duration - this.span));
    this.request();
  }

  zoom(factor, around = clamp(this.position, this.start, this.end)) {
    const longest = Math.min(LONGEST_VIEW, Math.max(this.song.duration, SHORTEST_VIEW));
    const span = clamp(this.span * factor, SHORTEST_VIEW, longest);
    const start = around - ((around - this.start) * span) / this.span;
    this.span = span;
    this.scrollTo(start);
  }

  // Keep the cursor in view: a third from the left while it runs; who wants little motion gets a page at a time.
  follow(seconds, running) {
    this.position = seconds;
    const outside = seconds < this.start || seconds > this.start + this.span * 0.97;
    if (running && !stillness.matches) this.start = seconds - this.span / 3;
    else if (outside) this.start = seconds - this.span / (running ? 50 : 3);
    this.scrollTo(this.start);
  }

  draw(g, width, height) {
    const { palette } = this;
    g.fillStyle = palette.paper;
    g.fillRect(0, 0, width, height);
    this.drawGrid(g);
    g.save();
    g.beginPath();
    g.rect(KEYS_WIDTH, 0, width - KEYS_WIDTH, height);
    g.clip();
    this.drawNotes(g);
    this.drawLanes(g);
    this.drawRuler(g);
    g.fillStyle = palette.cursor;
    g.fillRect(this.x(this.position) - 1, 0, 2, height - AXIS_HEIGHT);
    g.restore();
    this.drawKeys(g);
  }

  drawGrid(g) {
    const { palette, bottom, width, song } = this;
    g.fillStyle = palette.row;
    for (let pitch = this.low; pitch <= this.high; pitch++)
      if (BLACK_KEYS.has(pitch % 12)) g.fillRect(KEYS_WIDTH, this.y(pitch), width, this.rowHeight);
    g.fillStyle = palette.line;
    for (let pitch = Math.ceil(this.low / 12) * 12; pitch <= this.high; pitch += 12)
      g.fillRect(KEYS_WIDTH, this.y(pitch - 1), width, 1);
    g.fillRect(KEYS_WIDTH, bottom, width, 1);
    if (this.loop) {
      g.fillStyle = palette.accent;
      g.globalAlpha = 0.1;
      g.fillRect(this.x(this.loop.from), 0, (this.loop.to - this.loop.from) * this.scale, bottom);
      g.globalAlpha = 1;
    }
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60].find((s) => s * this.scale >= 64) || 60;
    g.font = "12px system-ui, sans-serif";
    g.textBaseline = "middle";
    g.textAlign = "center";
    g.fillStyle = palette.quiet;
    const axis = this.surface.height - AXIS_HEIGHT / 2;
    for (let n = Math.ceil(this.start / step); n * step <= this.end; n++) {
      const x = this.x(n * step), tenths = step < 1 ? `.${Math.round(n * step * 10) % 10}` : "";
      if (!this.ruler) g.fillRect(x, 0, 0.4, bottom + this.lanes + 4);
      if (x > KEYS_WIDTH + 14 && x < width - 16) g.fillText(clock(n * step) + tenths, x, axis);
    }
    const first = upTo(song.beats, this.start - 1e-9), last = upTo(song.beats, this.end);
    if ((last - first) * 6 < width) {
      g.globalAlpha = 0.3;
      for (const beat of song.beats.slice(first, last)) g.fillRect(this.x(beat), this.ruler, 1, bottom - this.ruler);
      g.globalAlpha = 1;
    }
  }

  drawNotes(g) {
    const { palette, rowHeight, song } = this;
    const unsure = [], misses = [], extras = [];
    song.within(this.start, this.end, (note) => {
      const shown = this.ghost && this.ghost.id === note.id ? this.ghost : note;
      const h = Math.max(2, rowHeight * (note.kind || palette.by !== "loudness" ? 0.84 : 0.45 + 0.5 * (note.velocity / 127)));
      const box = [this.x(shown.onset), this.y(shown.pitch) + (rowHeight - h) / 2, Math.max(2, (shown.offset - shown.onset) * this.scale - 1), h];
      if (note.kind === MISS) misses.push(box);
      else if (note.kind === EXTRA) extras.push(box);
      else if (note.kind === HIT) this.fill(g, box, palette.hit, 1);
      else {
        const colour = palette.of(note), dim = palette.silent(note) ? 0.25 : 1;
        // Half sure and less is hollow; what is in doubt is pale and outlined.
        if (note.confidence < UNSURE) this.fill(g, box, colour, 0.18 * dim);
        else this.fill(g, box, colour, (note.confidence < DOUBTFUL ? 0.5 : palette.strength(note)) * dim);
        if (note.confidence < DOUBTFUL) unsure.push(box);
      }
      if (this.selected === note.id) this.chosen = box;
    });
    g.globalAlpha = 1;
    this.outline(g, unsure, palette.ink, 1);
    g.fillStyle = palette.hatch;
    for (const box of extras) g.fillRect(...box);
    this.outline(g, extras, palette.extra, 1);
    this.outline(g, misses, palette.miss, rowHeight < 8 ? 1 : 2);
    if (this.chosen) this.outline(g, [this.chosen.map((value, i) => value + [-3, -3, 6, 6][i])], palette.cursor, 2);
    this.chosen = null;
  }

  fill(g, box, colour, strength) {
    g.globalAlpha = strength;
    g.fillStyle = colour;
    g.fillRect(...box);
  }

  outline(g, boxes, colour, thickness) {
    g.strokeStyle = colour;
    g.lineWidth = thickness;
    for (const [x, y, w, h] of boxes)
      g.strokeRect(x + thickness / 2, y + thickness / 2, Math.max(w - thickness, 1), Math.max(h - thickness, 1));
  }

  // Sections above, bar numbers below them, lines down through the notes; taps as they come.
  drawRuler(g) {
    const { palette, song, bottom } = this;
    if (this.ruler) {
      g.fillStyle = palette.raised;
      g.fillRect(KEYS_WIDTH, 0, this.width, this.ruler);
      g.textAlign = "left";
      g.font = "12px system-ui, sans-serif";
      let free = -Infinity;
      for (const bar of song.bars.slice(Math.max(0, upTo(song.bars, this.start, (b) => b.onset) - 1))) {
        if (bar.onset > this.end) break;
        const x = this.x(bar.onset);
        g.fillStyle = palette.quiet;
        g.globalAlpha = 0.6;
        if (this.span < 90) g.fillRect(x, this.ruler - 14, 1, bottom - this.ruler + 14);
        g.globalAlpha = 1;
        if (x < free) continue;
        g.fillText(bar.number, x + 4, this.ruler - 8);
        free = x + 12 + g.measureText(bar.number).width;
      }
      g.font = "600 12px system-ui, sans-serif";
      g.fillStyle = palette.ink;
      for (const section of song.sections)
        if (section.label && section.offset > this.start && section.onset < this.end)
          g.fillText(section.label, Math.max(this.x(section.onset), KEYS_WIDTH) + 4, 11);
    }
    for (const [i, tap] of this.taps.entries()) {
      g.fillStyle = palette.accent;
      const strong = i === this.taps.downbeat;
      g.fillRect(this.x(tap) - (strong ? 2 : 1), 0, strong ? 4 : 2, bottom);
    }
  }

  drawLanes(g) {
    const { palette, song, end } = this;
    let top = this.bottom + 2;
    g.fillStyle = palette.ink;
    for (const drum of song.drums.slice(upTo(song.drums, this.start, (d) => d.onset), upTo(song.drums, end, (d) => d.onset))) {
      const h = (DRUM_HEIGHT - 1) * (0.3 + 0.7 * (drum.velocity / 127));
      g.fillRect(this.x(drum.onset), top + (DRUM_ROWS - config.drums.indexOf(drum.label)) * DRUM_HEIGHT - h, 2, h);
    }
    top += this.drumLane;
    g.textAlign = "left";
    if (song.chords.length) {
      g.font = "600 13px system-ui, sans-serif";
      let free = -Infinity; // a name never covers the next
      for (const chord of song.chords.slice(Math.max(0, upTo(song.chords, this.start, (c) => c.onset) - 1))) {
        if (chord.onset > end) break;
        const x = Math.max(this.x(chord.onset), KEYS_WIDTH);
        g.fillStyle = palette.line;
        g.fillRect(this.x(chord.onset), top, 1, LANE_HEIGHT - 4);
        if (x + 4 < free) continue;
        g.fillStyle = palette.ink;
        g.fillText(chord.name, x + 4, top + LANE_HEIGHT / 2);
        free = x + 8 + g.measureText(chord.name).width;
      }
      this.chordLane = top;
      top += LANE_HEIGHT;
    }
    g.fillStyle = palette.pedal;
    for (const pedal of song.pedals.slice(Math.max(0, upTo(song.pedals, this.start, (p) => p.onset) - 1))) {
      if (pedal.onset > end) break;
      g.fillRect(this.x(pedal.onset), top + LANE_HEIGHT / 2 - 3, Math.max(2, (pedal.offset - pedal.onset) * this.scale - 2), 6);
    }
  }

  drawKeys(g) {
    const wide = KEYS_WIDTH - 2, { palette, song, bottom } = this;
    g.fillStyle = palette.paper;
    g.fillRect(0, 0, KEYS_WIDTH, this.surface.height);
    g.fillStyle = palette.night ? "#c9cfd6" : "#ffffff";
    g.fillRect(0, this.ruler, wide, bottom - this.ruler);
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
    }
    for (const note of song.sounding(this.position)) {
      if (palette.silent(note) || note.kind === MISS) continue;
      g.fillStyle = palette.lit;
      g.fillRect(0, this.y(note.pitch), BLACK_KEYS.has(note.pitch % 12) ? wide * 0.58 : wide, this.rowHeight);
    }
    g.fillStyle = "#22262c";
    for (let pitch = Math.ceil(this.low / 12) * 12; pitch <= this.high; pitch += 12)
      g.fillText(pitchName(pitch), wide - 2, this.y(pitch) + this.rowHeight / 2);
    g.fillStyle = palette.line;
    g.fillRect(wide, this.ruler, 1, bottom - this.ruler);
    g.font = "italic 12px system-ui, sans-serif";
    g.fillStyle = palette.quiet;
    if (song.bars.length) g.fillText(say("bar"), wide - 2, this.ruler - 8);
    if (song.drums.length) g.fillText(say("drums"), wide - 2, bottom + this.drumLane / 2);
    if (song.pedals.length) g.fillText(say("pedal"), wide - 2, bottom + this.lanes - LANE_HEIGHT / 2 + 2);
  }

  // All the notes once, small; a frame then copies them.
  drawBackground() {
    const [w, h] = [this.small.width, this.small.height], rows = this.high - this.low + 1, { duration, notes } = this.song;
    this.background.width = this.small.canvas.width;
    this.background.height = this.small.canvas.height;
    const g = this.background.getContext("2d"), ratio = devicePixelRatio || 1;
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.fillStyle = this.palette.paper;
    g.fillRect(0, 0, w, h);
    g.fillStyle = this.palette.quiet;
    g.globalAlpha = 0.55;
    for (const note of notes)
      g.fillRect((note.onset / duration) * w, 2 + ((this.high - note.pitch) / rows) * (h - 4),
        Math.max(0.75, ((note.offset - note.onset) / duration) * w), 1.5);
    g.globalAlpha = 1;
  }

  drawOverview(g, w, h) {
    const at = (seconds) => (seconds / this.song.duration) * w;
    g.drawImage(this.background, 0, 0, w, h);
    g.fillStyle = this.palette.accent;
    g.globalAlpha = 0.15;
    g.fillRect(at(this.start), 0, at(this.span), h);
    g.globalAlpha = 1;
    g.strokeStyle = this.palette.accent;
    g.lineWidth = 1.5;
    g.strokeRect(at(this.start) + 1, 1, Math.max(at(this.span) - 2, 2), h - 2);
    g.fillStyle = this.palette.cursor;
    g.fillRect(at(this.position) - 1, 0, 2, h);
  }
}
