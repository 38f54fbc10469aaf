"use strict";
// What was heard, as the page needs it: made from the view that the server sends or the file holds.

const INDEX_SECONDS = 5;
const HEARD = 0, HIT = 1, MISS = 2, EXTRA = 3;
const UNSURE = 0.5, DOUBTFUL = 0.9;

class Song {
  constructor(view) {
    const t = view.transcription;
    this.view = view;
    this.title = view.title;
    this.notes = t.notes.map((note, i) => ({ kind: HEARD, ...note, id: note.id ?? i, hand: note.hand || view.hands?.[i] || null }));
    this.pedals = t.pedals || [];
    this.beats = t.beats || [];
    this.downbeats = t.downbeats || [];
    this.chords = (t.chords || []).map((chord) => ({ ...chord, name: chordName(chord.label) }));
    this.drums = t.drums || [];
    this.key = t.key;
    names = namesIn(t.key);
    this.metres = t.metres || [];
    this.bars = view.bars || [];
    this.sections = view.sections || [];
    this.doubts = view.doubts || [];
    this.index();
    this.duration = Math.max(view.duration || 0, t.duration || 0, this.last, 0.1);
    this.instruments = config.families.filter((family) => this.notes.some((note) => note.instrument === family));
  }

  // For every few seconds, the first note that still sounds there: where drawing begins.
  index() {
    this.notes.sort((a, b) => a.onset - b.onset || a.pitch - b.pitch);
    this.ids = new Map(this.notes.map((note) => [note.id, note]));
    this.last = this.notes.reduce((end, note) => Math.max(end, note.offset), 0);
    this.bins = new Array(Math.ceil(this.last / INDEX_SECONDS) + 2).fill(this.notes.length);
    this.notes.forEach((note, i) => {
      const last = Math.min(Math.floor(note.offset / INDEX_SECONDS), this.bins.length - 1);
      for (let bin = Math.floor(note.onset / INDEX_SECONDS); bin <= last; bin++) this.bins[bin] = Math.min(this.bins[bin], i);
    });
    for (let bin = this.bins.length - 2; bin >= 0; bin--) this.bins[bin] = Math.min(this.bins[bin], this.bins[bin + 1]);
  }

  // Calls visit(note) for those that sound between two times, in their order.
  within(from, to, visit) {
    const first = this.bins[clamp(Math.floor(from / INDEX_SECONDS), 0, this.bins.length - 1)];
    for (let i = first; i < this.notes.length && this.notes[i].onset < to; i++)
      if (this.notes[i].offset >= from) visit(this.notes[i]);
  }

  sounding(time) {
    const found = [];
    this.within(time, time + 1e-4, (note) => { if (note.onset <= time && note.offset > time) found.push(note); });
    return found;
  }

  // The lowest and highest pitch to show: two octaves at least, and some air around the notes.
  range() {
    const low = this.notes.reduce((lowest, note) => Math.min(lowest, note.pitch), 52);
    const high = this.notes.reduce((highest, note) => Math.max(highest, note.pitch), 72);
    return [clamp(low - 2, 0, 127), clamp(high + 2, 0, 127)];
  }

  byId(id) { return this.ids.get(id); }
  // A note as edits name it: by pitch and onset.
  byKey(key) { return this.notes.find((note) => note.pitch === key.pitch && Math.abs(note.onset - key.onset) < 2e-4); }

  barIndexAt(time) { return clamp(upTo(this.bars, time + 1e-3, (bar) => bar.onset) - 1, 0, Math.max(this.bars.length - 1, 0)); }
  barAt(time) { return this.bars[this.barIndexAt(time)]; }
  barNumbered(number) { return this.bars.find((bar) => bar.number === number); }
  chordAt(time) {
    const chord = this.chords[upTo(this.chords, time + 1e-3, (c) => c.onset) - 1];
    return chord && chord.offset > time ? chord : undefined;
  }

  beatIndexAt(time) { return upTo(this.beats, time + 1e-3) - 1; }
  isDownbeat(time) {
    const next = this.downbeats[upTo(this.downbeats, time - 0.02)];
    return next !== undefined && Math.abs(next - time) < 0.02;
  }

  // Bar and beat at a time, in words.
  place(time) {
    if (!this.beats.length) return "";
    const bar = this.barAt(time), beat = this.beats[this.beatIndexAt(time)];
    if (!bar || beat === undefined) return "";
    const first = upTo(this.beats, bar.onset - 0.02);
    return say("place", { bar: bar.number, beat: Math.max(1, upTo(this.beats, beat) - first) });
  }

  get metre() { return this.bars.find((bar) => bar.number > 0)?.metre || this.metres[0]?.label || ""; }
  get beatLength() {
    const gaps = this.beats.slice(1).map((beat, i) => beat - this.beats[i]).sort((a, b) => a - b);
    return gaps.length ? gaps[gaps.length >> 1] : 0.5;
  }
}

// Rows as a comparison with the truth has them: onset ms, length ms, pitch, velocity, confidence in percent, kind.
function songOfRows(data) {
  const notes = [];
  for (let i = 0; i < data.notes.length; i += 6) {
    const [onset, length, pitch, velocity, sure, kind] = data.notes.slice(i, i + 6);
    notes.push({ onset: onset / 1000, offset: (onset + length) / 1000, pitch, velocity, confidence: sure / 100, kind });
  }
  const pedals = [];
  for (let i = 0; i < data.pedals.length; i += 2) pedals.push({ onset: data.pedals[i] / 1000, offset: data.pedals[i + 1] / 1000 });
  const chords = data.chords.map(([onset, offset, label]) => ({ onset, offset, label }));
  const transcription = { notes, pedals, chords, beats: data.beats, duration: data.duration };
  return new Song({ title: "", duration: data.duration, transcription });
}
