"use strict";
// What stands around the notes of the roll and moves with every frame: time, bars and sections, lanes of drums, chords and
// pedal, keys, marks. The roll itself (roll.js) knows where things are.

const KEYS_WIDTH = 42; // px, left of the notes
const AXIS_HEIGHT = 22;
const RULER_HEIGHT = 36; // sections and bars
const LANE_HEIGHT = 24; // chords, pedal
const DRUM_ROWS = 5, DRUM_HEIGHT = 7; // px a row

class RollFrame {
  drawAxis(g) {
    const { palette, bottom, width } = this;
    g.fillStyle = palette.line;
    g.fillRect(KEYS_WIDTH, bottom, width, 1);
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
  }

  // What changes while the notes stay: the loop, the chosen note.
  drawMarks(g) {
    const { palette, loop } = this;
    if (loop) {
      g.fillStyle = palette.accent;
      g.globalAlpha = 0.12;
      g.fillRect(this.x(loop.from), 0, (loop.to - loop.from) * this.scale, this.bottom);
      g.globalAlpha = 1;
    }
    const note = this.ghost || (this.selected === null ? null : this.song.byId(this.selected));
    if (!note) return;
    const box = this.box(note);
    if (this.ghost) this.fill(g, box, palette.of(note), 0.7);
    this.outline(g, [box.map((value, i) => value + [-3, -3, 6, 6][i])], palette.cursor, 2);
  }

  // Where a note is drawn: x, y, width, height.
  box(note) {
    const thick = note.kind || this.palette.by !== "loudness" ? 0.84 : 0.45 + 0.5 * (note.velocity / 127);
    const h = Math.max(2, this.rowHeight * thick);
    return [this.x(note.onset), this.y(note.pitch) + (this.rowHeight - h) / 2, Math.max(2, (note.offset - note.onset) * this.scale - 1), h];
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
        g.fillRect(x, this.ruler - 14, 1, 14);
        g.globalAlpha = 1;
        if (x < free || x < KEYS_WIDTH - 3) continue;
        g.fillText(bar.number, x + 4, this.ruler - 8);
        free = x + 12 + g.measureText(bar.number).width;
      }
      g.font = "600 12px system-ui, sans-serif";
      g.fillStyle = palette.ink;
      for (const section of song.sections)
        if (section.label && section.offset > this.start && section.onset < this.end)
          g.fillText(section.label, Math.max(this.x(section.onset), KEYS_WIDTH) + 4, 11);
    }
    for (const tap of this.taps) {
      g.fillStyle = palette.accent;
      const strong = this.firsts.includes(tap);
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
}
