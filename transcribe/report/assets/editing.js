"use strict";
// Corrections: a list of operations beside what was heard, saved as soon as there are any; undone and done again.

const key = (note) => ({ pitch: note.pitch, onset: Math.round(note.onset * 1e4) / 1e4 });
const exact = (seconds) => Math.round(seconds * 1e4) / 1e4;
// The server is asked again after so many ms where it can't be reached.
const TRY_AGAIN = 2000;
// Operations that the page shows before the server has answered.
const AT_ONCE = new Set(["add", "delete", "change", "accept", "chord"]);

class Editing {
  // send(edits, undone, version) saves both lists and gives the new view, show(view) puts it on the page, reload() asks
  // for it again, redraw() shows what was done at once.
  constructor({ send, show, reload, redraw, warn }) {
    Object.assign(this, { send, show, reload, redraw, warn, edits: [], undone: [], saving: false, waiting: false });
    this.state = new Signal(); // "saved", "saving", "failed"
  }

  open(song) {
    this.song = song;
    this.edits = song.view.edits || [];
    this.undone = song.view.undone || [];
    this.version = song.view.version;
  }

  do(operation) {
    this.edits = [...this.edits, operation];
    this.undone = [];
    if (AT_ONCE.has(operation.op)) this.apply(operation);
    this.save();
  }

  undo() {
    if (!this.edits.length) return;
    this.undone = [...this.undone, this.edits.at(-1)];
    this.edits = this.edits.slice(0, -1);
    this.save();
  }

  redo() {
    if (!this.undone.length) return;
    this.edits = [...this.edits, this.undone.at(-1)];
    this.undone = this.undone.slice(0, -1);
    this.save();
  }

  apply({ op, note, to, onset, label }) {
    const { song } = this, found = op === "add" || op === "chord" ? null : song.byKey(note);
    if (op === "add") song.notes.push({ kind: HEARD, confidence: 1, hand: note.pitch < 60 ? "left" : "right", ...note, id: -Date.now() });
    else if (op === "chord") {
      for (const chord of song.chords) if (Math.abs(chord.onset - onset) < 1e-3) Object.assign(chord, { label, name: chordName(label) });
    } else if (!found) return;
    else if (op === "delete") song.notes.splice(song.notes.indexOf(found), 1);
    else if (op === "accept") found.confidence = 1;
    else Object.assign(found, to, "pitch" in to || "onset" in to ? { confidence: 1 } : {});
    song.index();
    this.redraw();
  }

  // One request at a time; what was changed meanwhile goes with the next one.
  async save() {
    clearTimeout(this.timer);
    this.waiting = true;
    this.state.send("saving");
    if (this.saving) return;
    this.saving = true;
    let view = null, refused = null, known = false;
    while (this.waiting) {
      this.waiting = false;
      try {
        view = await this.send(this.edits, this.undone, this.version);
        this.version = view.version;
        refused = null;
      } catch (error) {
        refused = error;
      }
    }
    this.saving = false;
    if (refused) {
      // Somebody else was quicker: theirs stands. What else is refused isn't kept; what the server couldn't be told is
      // sent again until it is.
      if (refused.status === 409) this.reload();
      else if (refused.status >= 400 && refused.status < 500) { this.edits = this.edits.slice(0, -1); this.save(); }
      else { this.timer = setTimeout(() => this.save(), TRY_AGAIN); known = this.alone; this.alone = true; }
      if (!known) this.warn(refused.status ? refused.message : say("not_saved"));
      this.state.send(refused.status ? refused.message : say("not_saved"));
      return;
    }
    this.alone = false;
    this.show(view);
    this.state.send("saved");
  }
}

// What fingers and keys do to notes: one is chosen, and that is what the keys change.
class Hands {
  constructor(editing, roll, player, tell) {
    Object.assign(this, { editing, roll, player, tell, note: null });
    this.chosen = new Signal();
  }

  get song() { return this.editing.song; }

  choose(note, silently = false) {
    this.note = note;
    this.roll.selected = note ? note.id : null;
    if (note) {
      if (note.onset > this.roll.end || note.offset < this.roll.start) this.roll.scrollTo(note.onset - this.roll.span / 3);
      if (!silently) this.tell(say("chosen", { note: pitchName(note.pitch), time: note.onset.toFixed(2), sure: Math.round(100 * note.confidence) }));
    }
    this.roll.request();
    this.chosen.send(note);
  }

  // After a new view has come: the same note, by its pitch and onset.
  again() {
    if (this.note) this.choose(this.song.byKey(key(this.note)) || null, true);
  }

  step(by) {
    const { notes } = this.song;
    if (!notes.length) return;
    const at = this.note ? notes.indexOf(this.note) : upTo(notes, this.player.position, (n) => n.onset) - (by > 0 ? 1 : 0);
    const note = notes[clamp(at + by, 0, notes.length - 1)];
    this.player.seek(note.onset);
    this.choose(note);
  }

  change(note, values) {
    const to = {};
    for (const name of ["onset", "offset", "pitch", "velocity", "hand", "spelling", "instrument"]) {
      let value = values[name];
      if (name === "onset" || name === "offset") value = value === undefined ? value : exact(value);
      if (value !== undefined && value !== note[name]) to[name] = value;
    }
    const from = key(note);
    if (!Object.keys(to).length) return;
    this.editing.do({ op: "change", note: from, to });
    this.tell(say("changed", { note: pitchName(note.pitch) }));
    this.again();
  }

  nudge(seconds) {
    const { note } = this, onset = Math.max(0, note.onset + seconds);
    this.change(note, { onset, offset: onset + note.offset - note.onset });
  }

  lengthen(seconds) { this.change(this.note, { offset: Math.max(this.note.onset + 0.02, this.note.offset + seconds) }); }
  raise(semitones) { this.change(this.note, { pitch: clamp(this.note.pitch + semitones, 0, 127) }); }
  otherHand() { this.change(this.note, { hand: this.note.hand === "left" ? "right" : "left" }); }

  remove(note = this.note) {
    const next = this.song.notes[this.song.notes.indexOf(note) + 1] || null;
    this.editing.do({ op: "delete", note: key(note) });
    this.tell(say("removed", { note: pitchName(note.pitch) }));
    this.choose(next, true);
  }

  accept(note = this.note) {
    this.editing.do({ op: "accept", note: key(note) });
    this.tell(say("accepted", { note: pitchName(note.pitch) }));
    this.choose(note, true);
  }

  add(onset, pitch, offset = onset + this.song.beatLength) {
    const note = { onset: exact(onset), offset: exact(offset), pitch, velocity: this.note?.velocity ?? 80 };
    if (this.note?.instrument) note.instrument = this.note.instrument;
    this.editing.do({ op: "add", note });
    this.tell(say("added", { note: pitchName(pitch) }));
    this.choose(this.song.byKey(note) || null, true);
  }

  rename() {
    find("panel-chords").open = true;
    find("chord-label").focus();
    find("chord-label").select();
  }
}
