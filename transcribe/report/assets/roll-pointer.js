"use strict";
// Mouse, pen and fingers in the roll. On a note: choose it, drag it, drag its end. Elsewhere: a click goes there, a drag
// scrolls, two fingers zoom, a double click adds a note. What it does to notes, roll.hands decides (see editing.js).

const GRIP = 7; // px at the end of a note by which it is lengthened
const STILL = 4; // px that a click may move

class RollPointer {
  constructor(roll) {
    Object.assign(this, { roll, pointers: new Map(), moved: 0, drag: null });
    const { element, overview } = roll;
    element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    element.addEventListener("pointerdown", (event) => this.down(event));
    element.addEventListener("pointermove", (event) => this.move(event));
    element.addEventListener("pointerup", (event) => this.up(event));
    element.addEventListener("pointercancel", (event) => { this.pointers.delete(event.pointerId); this.drop(); });
    element.addEventListener("dblclick", (event) => this.double(event));
    const jump = (event) => {
      const box = overview.getBoundingClientRect();
      roll.seek(clamp((event.clientX - box.left) / box.width, 0, 1) * roll.song.duration);
    };
    overview.addEventListener("pointerdown", (event) => { overview.setPointerCapture(event.pointerId); jump(event); });
    overview.addEventListener("pointermove", (event) => { if (event.buttons) jump(event); });
  }

  wheel(event) {
    const { roll } = this;
    const sideways = event.shiftKey ? event.deltaX || event.deltaY : event.deltaX;
    if (event.ctrlKey || event.metaKey) roll.zoom(1.0015 ** event.deltaY, roll.timeAt(event.clientX));
    else if (sideways) roll.scrollTo(roll.start + sideways / roll.scale);
    else return; // the page scrolls
    event.preventDefault();
  }

  down(event) {
    const { roll, pointers } = this;
    if (!pointers.size) this.moved = 0;
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    roll.element.setPointerCapture(event.pointerId);
    const note = pointers.size === 1 && roll.hands ? roll.noteAt(event.clientX, event.clientY) : null;
    this.hit = note;
    // A finger chooses a note first, then drags it, so that the page can still be scrolled.
    if (note && (event.pointerType !== "touch" || roll.selected === note.id)) {
      const width = (note.offset - note.onset) * roll.scale;
      const end = width > 2 * GRIP && roll.x(note.offset) - (event.clientX - roll.canvas.getBoundingClientRect().left) < GRIP;
      this.drag = { note, end, time: roll.timeAt(event.clientX), pitch: roll.pitchAt(event.clientY) };
    } else this.drag = null;
  }

  move(event) {
    const { roll, pointers, drag } = this;
    if (!pointers.has(event.pointerId)) return this.hover(event);
    const before = [...pointers.values()].map(([x]) => x), [x, y] = pointers.get(event.pointerId);
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    const now = [...pointers.values()].map(([x]) => x);
    this.moved += Math.abs(event.clientX - x) + (drag ? Math.abs(event.clientY - y) : 0);
    if (now.length === 2) {
      const apart = ([a, b]) => Math.max(Math.abs(a - b), 10);
      this.drop();
      roll.zoom(apart(before) / apart(now), roll.timeAt((now[0] + now[1]) / 2));
    } else if (this.moved <= STILL) return;
    else if (drag) {
      const { note } = drag, by = roll.timeAt(event.clientX) - drag.time;
      roll.ghost = { ...note };
      if (drag.end) roll.ghost.offset = Math.max(note.onset + 0.02, note.offset + by);
      else {
        const onset = Math.max(0, note.onset + by);
        Object.assign(roll.ghost, { onset, offset: onset + note.offset - note.onset,
          pitch: clamp(note.pitch + roll.pitchAt(event.clientY) - drag.pitch, 0, 127) });
      }
      roll.request();
    } else roll.scrollTo(roll.start - (event.clientX - x) / roll.scale);
  }

  hover(event) {
    const { roll } = this, note = roll.hands && event.pointerType === "mouse" ? roll.noteAt(event.clientX, event.clientY) : null;
    const left = event.clientX - roll.canvas.getBoundingClientRect().left;
    roll.element.style.cursor = !note ? "" : roll.x(note.offset) - left < GRIP ? "ew-resize" : "grab";
  }

  up(event) {
    const { roll, pointers } = this;
    if (!pointers.delete(event.pointerId) || pointers.size) return;
    if (this.moved > STILL) {
      if (roll.ghost) roll.hands.change(this.drag.note, roll.ghost);
    } else if (this.hit) roll.hands.choose(this.hit);
    else if (event.clientY - roll.canvas.getBoundingClientRect().top >= roll.bottom && this.chord(event)) this.chord(event, true);
    else {
      roll.hands?.choose(null);
      roll.seek(clamp(roll.timeAt(event.clientX), 0, roll.song.duration));
    }
    this.drop();
  }

  // The chord that was clicked on, if that lane was.
  chord(event, choose = false) {
    const { roll } = this, y = event.clientY - roll.canvas.getBoundingClientRect().top;
    if (!roll.hands || !roll.song.chords.length || y < roll.chordLane || y > roll.chordLane + LANE_HEIGHT) return null;
    const chord = roll.song.chordAt(roll.timeAt(event.clientX));
    if (chord && choose) {
      roll.seek(chord.onset);
      roll.hands.rename();
    }
    return chord;
  }

  double(event) {
    const { roll } = this;
    if (roll.hands && roll.inNotes(event.clientY) && !roll.noteAt(event.clientX, event.clientY))
      roll.hands.add(Math.max(0, roll.timeAt(event.clientX)), roll.pitchAt(event.clientY));
  }

  drop() {
    this.drag = this.hit = this.roll.ghost = null;
    this.roll.request();
  }
}
