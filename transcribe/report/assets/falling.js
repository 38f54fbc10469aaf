"use strict";
// Falling notes: they come down onto the keys that are to be pressed, and light them while they sound.

const WHITE = [0, 2, 4, 5, 7, 9, 11];

class Falling {
  constructor(element, song, palette, seek) {
    Object.assign(this, { element, palette, seek, position: 0, ahead: 4, share: 0.6 });
    this.surface = new Surface(element, (g, width, height) => this.draw(g, width, height));
    this.open(song);
    new ResizeObserver(() => this.resize()).observe(element);
    palette.changed.on(() => this.surface.request());
    element.addEventListener("wheel", (event) => {
      if (!event.shiftKey) return; // the page scrolls
      event.preventDefault();
      this.seek(this.position - (event.deltaY || event.deltaX) / 200);
    }, { passive: false });
    let from = null;
    element.addEventListener("pointerdown", (event) => { from = event.clientY; element.setPointerCapture(event.pointerId); });
    element.addEventListener("pointermove", (event) => {
      if (from === null) return;
      this.seek(this.position + ((event.clientY - from) / this.floor) * this.ahead);
      from = event.clientY;
    });
    for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, () => { from = null; });
  }

  open(song) {
    this.song = song;
    const [low, high] = song.range();
    // From a C or an F to a B or an E: whole groups of keys.
    this.low = low - [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6][low % 12];
    this.high = high + [4, 3, 2, 1, 0, 6, 5, 4, 3, 2, 1, 0][high % 12];
    this.places();
    this.surface.request();
  }

  // Where each key lies: x and width in shares of the whole.
  places() {
    const whites = [];
    for (let pitch = this.low; pitch <= this.high; pitch++) if (!BLACK_KEYS.has(pitch % 12)) whites.push(pitch);
    const wide = 1 / whites.length;
    this.keys = new Map(whites.map((pitch, i) => [pitch, [i * wide, wide]]));
    for (let pitch = this.low; pitch <= this.high; pitch++)
      if (BLACK_KEYS.has(pitch % 12)) this.keys.set(pitch, [(this.keys.get(pitch - 1)?.[0] ?? 0) + wide * 0.68, wide * 0.64]);
  }

  resize() {
    const width = this.element.clientWidth;
    if (width) this.surface.resize(width, Math.max(260, Math.min(innerHeight * this.share, 640)));
  }

  follow(seconds) { this.position = seconds; this.surface.request(); }
  zoom(factor) { this.ahead = clamp(this.ahead * factor, 1, 16); this.surface.request(); }

  // What lies behind the notes: a lane for each key.
  ground(g, width, height) {
    const { palette } = this;
    this.floor = height - clamp((width / this.keys.size) * 6, 50, 90);
    g.fillStyle = palette.paper;
    g.fillRect(0, 0, width, height);
    g.fillStyle = palette.row;
    for (const [pitch, [x, w]] of this.keys) if (BLACK_KEYS.has(pitch % 12)) g.fillRect(x * width, 0, w * width, this.floor);
    g.font = "12px system-ui, sans-serif";
  }

  draw(g, width, height) {
    const { palette, song, position } = this;
    this.ground(g, width, height);
    const y = (time) => this.floor - ((time - position) / this.ahead) * this.floor;
    g.textAlign = "left";
    g.textBaseline = "bottom";
    for (const beat of song.beats.slice(upTo(song.beats, position), upTo(song.beats, position + this.ahead))) {
      const strong = song.isDownbeat(beat);
      g.fillStyle = palette.quiet;
      g.globalAlpha = strong ? 0.8 : 0.25;
      g.fillRect(0, y(beat), width, 1);
      if (strong && song.bars.length) g.fillText(song.barAt(beat).number, 6, y(beat) - 2);
      g.globalAlpha = 1;
    }
    const lit = new Map();
    song.within(position, position + this.ahead, (note) => {
      const [x, w] = this.keys.get(note.pitch) || [0, 0], silent = palette.silent(note);
      const top = y(note.offset), bottom = Math.min(y(note.onset), this.floor), colour = palette.of(note);
      g.fillStyle = colour;
      g.globalAlpha = (note.confidence < UNSURE ? 0.3 : note.confidence < DOUBTFUL ? 0.6 : palette.strength(note)) * (silent ? 0.25 : 1);
      g.fillRect(x * width + 1, top, Math.max(w * width - 2, 3), Math.max(bottom - top - 1, 3));
      if (note.onset <= position && note.offset > position && !silent) lit.set(note.pitch, colour);
    });
    g.globalAlpha = 1;
    this.drawKeys(g, width, height, lit);
  }

  drawKeys(g, width, height, lit) {
    const { palette, floor } = this, keys = height - floor;
    const paint = (pitch, [x, w], plain, high) => {
      g.fillStyle = lit.get(pitch) || plain;
      g.fillRect(x * width, floor, w * width, high);
    };
    for (const [pitch, place] of this.keys) if (!BLACK_KEYS.has(pitch % 12)) paint(pitch, place, palette.night ? "#c9cfd6" : "#ffffff", keys);
    g.fillStyle = "#8b939d";
    g.textAlign = "center";
    g.textBaseline = "bottom";
    for (const [pitch, [x, w]] of this.keys) {
      if (BLACK_KEYS.has(pitch % 12)) continue;
      g.fillStyle = "#8b939d";
      g.fillRect((x + w) * width - 0.5, floor, 1, keys);
      g.fillStyle = "#22262c";
      if (pitch % 12 === 0) g.fillText(pitchName(pitch), (x + w / 2) * width, height - 3);
    }
    for (const [pitch, place] of this.keys) if (BLACK_KEYS.has(pitch % 12)) paint(pitch, place, "#22262c", keys * 0.62);
    g.fillStyle = palette.cursor;
    g.fillRect(0, floor - 1, width, 2);
  }
}
