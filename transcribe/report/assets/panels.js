"use strict";
// What stands beside the music: the chosen note, the list of what is worth a look, parts, chords, and all of it as text.

class NotePanel {
  constructor(hands) {
    this.hands = hands;
    for (const name of ["onset", "length", "velocity", "pitch", "hand", "spelling"])
      find(`note-${name}`).addEventListener("change", () => this.changed(name));
    for (const [id, act] of [["note-previous", () => hands.step(-1)], ["note-next", () => hands.step(1)], ["note-accept", () => hands.note && hands.accept()],
      ["note-delete", () => hands.note && hands.remove()], ["note-add", () => hands.add(hands.player.position, hands.note?.pitch ?? 60)]])
      find(id).addEventListener("click", act);
    hands.chosen.on((note) => this.show(note));
    this.show(null);
  }

  show(note) {
    find("note-fields").disabled = !note;
    find("note-accept").disabled = find("note-delete").disabled = !note;
    find("note-name").textContent = note ? say("note_is", { note: pitchName(note.pitch), sure: Math.round(100 * note.confidence) }) : say("no_note");
    if (!note) return;
    find("note-onset").value = note.onset.toFixed(3);
    find("note-length").value = (note.offset - note.onset).toFixed(3);
    find("note-velocity").value = note.velocity;
    find("note-pitch").value = note.pitch;
    find("note-hand").value = note.hand || "";
    const names = spellings(note.pitch);
    find("note-spelling").replaceChildren(make("option", { value: "" }, say("by_key")), ...names.map((name) => make("option", { value: name }, name)));
    find("note-spelling").value = note.spelling || "";
  }

  changed(name) {
    const { hands } = this, { note } = hands, value = find(`note-${name}`).value;
    if (!note) return;
    const number = Number(value);
    if (name === "onset") hands.change(note, { onset: Math.max(0, number), offset: Math.max(0, number) + note.offset - note.onset });
    else if (name === "length") hands.change(note, { offset: note.onset + Math.max(0.02, number) });
    else if (name === "velocity") hands.change(note, { velocity: clamp(Math.round(number), 1, 127) });
    else if (name === "pitch") hands.change(note, { pitch: clamp(Math.round(number), 0, 127) });
    else hands.change(note, { [name]: value || null });
  }
}

// The names a pitch can have, with at most two accidentals: C#, Db, B##.
function spellings(pitch) {
  const found = [];
  for (const [letter, place] of Object.entries(LETTERS)) {
    const apart = ((((pitch - place + 6) % 12) + 12) % 12) - 6;
    if (Math.abs(apart) <= 2) found.push([Math.abs(apart), letter + (apart < 0 ? "b" : "#").repeat(Math.abs(apart))]);
  }
  return found.sort(([a], [b]) => a - b).map(([, name]) => name);
}

// What is worth a look, the most doubtful first. The list shows what isn't settled; the keys A and X settle the one that
// is shown, and go on to the next.
class Doubts {
  constructor(hands, player) {
    Object.assign(this, { hands, player, settled: new Set(), at: -1, shown: 40 });
    this.list = find("doubts");
    find("doubts-more").addEventListener("click", () => { this.shown += 40; this.draw(); });
  }

  open(song) {
    this.song = song;
    this.items = song.doubts.filter((doubt) => !this.settled.has(this.name(doubt)));
    this.draw();
  }

  name(doubt) {
    const note = this.noteOf(doubt);
    return `${doubt.kind} ${note ? `${note.pitch} ${note.onset}` : doubt.onset}`;
  }

  // The note that a doubt is about: one that is there, or one that is missing, as long as its neighbour.
  noteOf(doubt) {
    const note = this.song.byId(doubt.note);
    if (doubt.kind !== "missing") return note;
    return { onset: doubt.onset, pitch: doubt.pitch, offset: Math.max(note?.offset ?? 0, doubt.onset + 0.1) };
  }

  draw() {
    find("doubts-count").textContent = this.items.length ? say("doubts_left", { n: this.items.length }) : say("no_doubts");
    this.list.replaceChildren(...this.items.slice(0, this.shown).map((doubt, i) => {
      const note = this.noteOf(doubt), words = say(`doubt_${doubt.kind}`, { note: note ? pitchName(note.pitch) : "" });
      const go = make("button", { type: "button", className: "go" }, make("strong", {}, words), make("span", {}, `${clock(doubt.onset)} · ${doubt.why || ""}`));
      go.addEventListener("click", () => this.show(i));
      const yes = make("button", { type: "button", className: "yes", ariaLabel: `${say("accept")}: ${words}`, title: say("accept") }, "✓");
      yes.addEventListener("click", () => { this.at = i; this.settle(true); });
      const no = make("button", { type: "button", className: "no", ariaLabel: `${say("reject")}: ${words}`, title: say("reject") }, "✗");
      no.addEventListener("click", () => { this.at = i; this.settle(false); });
      const item = make("li", {}, go, yes, no);
      if (i === this.at) go.setAttribute("aria-current", "true");
      return item;
    }));
    find("doubts-more").hidden = this.items.length <= this.shown;
  }

  show(i) {
    if (!this.items.length) { this.at = -1; return; }
    this.at = clamp(i, 0, this.items.length - 1);
    const doubt = this.items[this.at], note = this.noteOf(doubt);
    this.draw();
    this.player.seek(Math.max(0, doubt.onset - 0.3));
    this.hands.choose(note && this.song.notes.includes(note) ? note : null);
    this.hands.tell(say(`doubt_${doubt.kind}`, { note: note ? pitchName(note.pitch) : "" }));
    this.list.children[this.at]?.scrollIntoView({ block: "nearest" });
  }

  // Accept or reject what the list shows; without it, the chosen note.
  settle(right) {
    const doubt = this.items[this.at];
    if (!doubt) return false;
    const note = this.noteOf(doubt), missing = doubt.kind === "missing";
    this.settled.add(this.name(doubt));
    this.items.splice(this.at, 1);
    if (note && missing && right) this.hands.add(note.onset, note.pitch, note.offset);
    else if (note && !missing) this.hands[right ? "accept" : "remove"](note);
    this.show(this.at);
    return true;
  }

  // Whether the keys settle what the list shows: as long as it is what was chosen.
  get current() {
    const doubt = this.items?.[this.at];
    if (!doubt) return false;
    const note = this.noteOf(doubt);
    return doubt.kind === "missing" || this.hands.note === null || this.hands.note === note;
  }
}

// Hands and instruments by colour, each of which can be muted.
function drawParts(song, palette) {
  const hands = ["right", "left"].filter((hand) => song.notes.some((note) => note.hand === hand));
  const rows = [...hands.map((hand) => [hand, style(hand)]), ...song.instruments.map((family) => [family, config.colours[family]])];
  find("parts").replaceChildren(...rows.map(([part, colour]) => {
    const swatch = make("span", { className: "swatch", ariaHidden: "true" });
    swatch.style.backgroundColor = colour;
    const button = make("button", { type: "button", className: "toggle", ariaPressed: String(palette.muted.has(part)), ariaLabel: `${say("mute")}: ${say(part)}` }, say("mute"));
    button.dataset.part = part;
    button.addEventListener("click", () => {
      palette.mute(part, !palette.muted.has(part));
      button.ariaPressed = String(palette.muted.has(part));
    });
    return make("li", {}, swatch, make("span", { className: "name" }, say(part)), button);
  }));
}

class ChordPanel {
  constructor(editing, player) {
    Object.assign(this, { editing, player });
    this.input = find("chord-label");
    find("chord-form")?.addEventListener("submit", (event) => {
      event.preventDefault();
      const label = this.input.value.trim();
      if (this.chord && label && label !== this.chord.label) editing.do({ op: "chord", onset: exact(this.chord.onset), label });
    });
    player.moved.on(() => this.follow());
  }

  open(song) {
    this.song = song;
    this.shown = undefined;
    find("panel-chords").hidden = !song.chords.length;
    find("chords").replaceChildren(...song.chords.slice(0, 400).map((chord) => {
      const cell = (text) => make("td", {}, text);
      return make("tr", {}, cell(chord.onset.toFixed(2)), cell(chord.name), cell(chord.label), cell(`${Math.round(100 * chord.confidence)} %`));
    }));
    this.follow();
  }

  follow() {
    const chord = this.song?.chordAt(this.player.position);
    if (chord === this.shown) return;
    this.shown = chord;
    find("chord-now").textContent = chord ? chord.name : "–";
    if (!this.input || document.activeElement === this.input) return;
    this.chord = chord;
    this.input.value = chord ? chord.label : "";
  }
}

// The notes as text, for those who don't see them: half a minute at a time.
function tableOfNotes(details, now, song) {
  const draw = () => {
    if (!details.open) return;
    const from = now(), current = song(), rows = [];
    current.within(from, from + 30, (note) => {
      if (note.onset < from) return;
      rows.push([note.onset.toFixed(2), (note.offset - note.onset).toFixed(2), pitchName(note.pitch), note.velocity, `${Math.round(100 * note.confidence)} %`,
        [note.hand && say(note.hand), note.instrument].filter(Boolean).join(", ")]);
    });
    details.querySelector("summary span").textContent = ` ${say("from_to", { from: clock(from), to: clock(Math.min(from + 30, current.duration)) })}`;
    details.querySelector("tbody").replaceChildren(...rows.map((row) => make("tr", {}, ...row.map((value) => make("td", {}, String(value))))));
  };
  details.addEventListener("toggle", draw);
  return draw;
}
