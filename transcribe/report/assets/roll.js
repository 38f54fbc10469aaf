"use strict";
// The piano roll on a canvas: bars above, keys on the left, notes, lanes of drums, chords and pedal, and all of it once
// more, small. Only what is in view is drawn; what stands still between two frames (grid and notes) is drawn once, in tiles
// that are copied as they scroll by.

const LONGEST_VIEW = 180; // s across the widest view; the overview shows the rest
const SHORTEST_VIEW = 1;
const TILE = 512; // px
const TILES = 10; // that are kept

class Roll extends RollFrame {
  // element: holds the roll and takes the keyboard. seek(seconds) is called when the listener points somewhere.
  constructor(element, song, palette, seek) {
    super();
    Object.assign(this, { element, palette, seek, position: 0, start: 0, span: 12, selected: null, ghost: null, loop: null, taps: [], firsts: [], share: 0.5, tiles: new Map() });
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
    this.renew();
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

  // The notes are others, or look otherwise.
  renew() {
    this.tiles.clear();
    this.drawBackground();
    this.request();
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
    this.tiles.clear();
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
    g.save();
    g.beginPath();
    g.rect(KEYS_WIDTH, 0, width - KEYS_WIDTH, height);
    g.clip();
    this.drawTiles(g);
    this.drawMarks(g);
    this.drawAxis(g);
    this.drawLanes(g);
    this.drawRuler(g);
    g.fillStyle = palette.cursor;
    g.fillRect(this.x(this.position) - 1, 0, 2, height - AXIS_HEIGHT);
    g.restore();
    this.drawKeys(g);
  }

  drawTiles(g) {
    const ratio = devicePixelRatio || 1, high = this.bottom - this.ruler, left = Math.round(this.start * this.scale * ratio) / ratio;
    for (let i = Math.floor(left / TILE); i * TILE < left + this.width; i++) {
      if (!this.tiles.has(i)) this.drawTile(i, ratio, high);
      g.drawImage(this.tiles.get(i), KEYS_WIDTH + i * TILE - left, this.ruler, TILE, high);
    }
    for (const i of this.tiles.keys()) if (this.tiles.size > TILES && Math.abs(i * TILE - left) > 3 * this.width) this.tiles.delete(i);
  }

  drawTile(i, ratio, high) {
    const canvas = make("canvas", { width: TILE * ratio, height: Math.round(high * ratio) }), g = canvas.getContext("2d", { alpha: false });
    const from = (i * TILE) / this.scale, to = from + TILE / this.scale, { start } = this;
    g.setTransform(ratio, 0, 0, ratio, 0, -this.ruler * ratio);
    this.start = from + KEYS_WIDTH / this.scale; // x() counts from the left of the tile
    this.drawGrid(g, from, to);
    this.drawNotes(g, from, to);
    this.start = start;
    this.tiles.set(i, canvas);
  }

  drawGrid(g, from, to) {
    const { palette, bottom, song } = this;
    g.fillStyle = palette.paper;
    g.fillRect(0, 0, TILE, bottom);
    g.fillStyle = palette.row;
    for (let pitch = this.low; pitch <= this.high; pitch++)
      if (BLACK_KEYS.has(pitch % 12)) g.fillRect(0, this.y(pitch), TILE, this.rowHeight);
    g.fillStyle = palette.line;
    for (let pitch = Math.ceil(this.low / 12) * 12; pitch <= this.high; pitch += 12) g.fillRect(0, this.y(pitch - 1), TILE, 1);
    g.fillStyle = palette.quiet;
    const beats = song.beats.slice(upTo(song.beats, from - 1e-9), upTo(song.beats, to));
    g.globalAlpha = 0.3;
    if (beats.length * 6 < TILE) for (const beat of beats) g.fillRect(this.x(beat), this.ruler, 1, bottom - this.ruler);
    g.globalAlpha = 0.6;
    if (this.span < 90)
      for (const bar of song.bars.slice(upTo(song.bars, from - 0.1, (b) => b.onset), upTo(song.bars, to, (b) => b.onset)))
        g.fillRect(this.x(bar.onset), this.ruler, 1, bottom - this.ruler);
    g.globalAlpha = 1;
  }

  drawNotes(g, from, to) {
    const { palette, rowHeight, song } = this;
    const unsure = [], misses = [], extras = [];
    song.within(from - 5 / this.scale, to, (note) => {
      const box = this.box(note);
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
    });
    g.globalAlpha = 1;
    this.outline(g, unsure, palette.ink, 1);
    g.fillStyle = palette.hatch;
    for (const box of extras) g.fillRect(...box);
    this.outline(g, extras, palette.extra, 1);
    this.outline(g, misses, palette.miss, rowHeight < 8 ? 1 : 2);
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
