"use strict";
// The page as a whole: a song that was opened, its player, its views and panels; in a file of its own or from the server.

const ENGRAVE_AFTER = 800; // ms without another edit

// What has happened, for those who don't see it; what went wrong, for everybody.
function tell(text) {
  find("said").textContent = text;
  find("said").classList.remove("loud");
}
function warn(text) {
  tell(text);
  find("said").classList.add("loud");
  clearTimeout(warn.timer);
  warn.timer = setTimeout(() => find("said").classList.remove("loud"), 8000);
}

class Page {
  constructor() {
    this.plain = find("song").cloneNode(true);
    this.keys = new Keys(this);
    this.shownView = "both";
  }

  // Everything that a song needs, anew: nothing of the song before hears anything any more.
  fresh() {
    const section = this.plain.cloneNode(true);
    section.hidden = find("song").hidden;
    find("song").replaceWith(section);
    this.palette = new Palette();
    for (const button of document.querySelectorAll(".toggle[id]"))
      button.addEventListener("click", () => this.toggled(button.id, button.ariaPressed !== "true"));
    for (const choice of document.querySelectorAll("input[name=view]")) choice.addEventListener("change", () => this.view(choice.value));
    find("colours").addEventListener("change", (event) => this.palette.choose(event.target.value));
    find("zoom-in").addEventListener("click", () => this.zoom(1 / 1.5));
    find("zoom-out").addEventListener("click", () => this.zoom(1.5));
    find("play").addEventListener("click", () => this.player.toggle());
    find("speed").addEventListener("input", (event) => this.speed(Number(event.target.value)));
    find("transpose").addEventListener("change", (event) => this.transpose(Number(event.target.value)));
    for (const name of ["recording", "transcription"])
      find(`volume-${name}`).addEventListener("input", (event) => this.player.setVolume(name, Number(event.target.value) / 100));
    for (const id of ["loop-from", "loop-to"]) find(id).addEventListener("change", () => this.loopBars());
    this.palette.changed.on(() => { if (this.song) this.player.restart(); });
  }

  // source: {recording, load, score, save}; save is absent where nothing can be corrected. A player that is given goes on:
  // it began before the notes were there.
  open(view, source, player = null) {
    if (!player) this.close();
    this.fresh();
    this.shown = this.placed = undefined;
    const { palette } = this, song = (this.song = new Song(view)), seek = (seconds) => this.player.seek(seconds);
    this.source = source;
    this.player = player || new Player({ recording: source.recording, load: source.load });
    this.player.audible = (note) => !palette.silent(note);
    [this.player.moved, this.player.switched] = [new Signal(), new Signal()];
    this.player.open(song);
    this.roll = new Roll(find("roll"), song, palette, seek);
    this.falling = new Falling(find("falling"), song, palette, seek);
    this.score = new Score(find("score"), song, palette, seek);
    this.player.moved.on((running) => this.follow(running));
    const playing = (on) => { find("play").textContent = say(on ? "pause" : "play"); };
    this.player.switched.on(playing);
    playing(this.player.playing);
    if (source.save) this.edit(source);
    else this.chords = new ChordPanel(null, this.player);
    this.redrawText = tableOfNotes(find("notes"), () => this.player.position, () => this.song);
    find("mix-recording").hidden = !source.recording;
    find("mix-transcription").hidden = source.mute || !song.notes.length;
    find("play").hidden = Boolean(source.mute);
    for (const name of ["recording", "transcription"]) find(`volume-${name}`).value = 100 * this.player.volumes[name];
    this.speed(Number(find("speed").value = 100 * this.player.rate));
    find("transpose").value = this.player.transpose;
    palette.by = song.instruments.length > 1 || (song.instruments.length && song.instruments[0] !== "piano") ? "instruments" : "hands";
    if (!song.notes.some((note) => note.hand)) palette.by = song.instruments.length ? "instruments" : "loudness";
    find("colours").value = palette.by;
    palette.restyle();
    this.arrange(song);
    if (view.transcription.notes.length || source.save) this.score.open(song, source.score);
    this.view(this.shownView);
    this.follow(this.player.playing);
  }

  edit(source) {
    const { player, roll } = this;
    // What is saved when another song is open, or none, changes nothing there.
    const open = () => this.editing === editing, show = (view) => open() && this.renew(view);
    const editing = (this.editing = new Editing({ send: source.save, show, redraw: () => this.redraw(),
      reload: async () => show(await source.view()), warn }));
    editing.open(this.song);
    editing.state.on((state) => open() && this.saved(state));
    this.hands = new Hands(this.editing, roll, player, tell);
    roll.hands = this.hands;
    this.score.choose = (note) => this.hands.choose(note);
    new NotePanel(this.hands);
    this.doubts = new Doubts(this.hands, player);
    this.beats = new BeatsPanel(this.editing, player, roll, tell);
    this.chords = new ChordPanel(this.editing, player);
    this.saved("");
  }

  close() {
    if (!this.player) return;
    clearTimeout(this.engraving);
    this.player.pause();
    if (this.player.recording) { this.player.recording.removeAttribute("src"); this.player.recording.load(); }
    this.player.context?.close();
    this.player = this.song = this.hands = this.editing = this.doubts = this.beats = this.chords = null;
  }

  // What depends on the song: shown at first, and again after every edit.
  arrange(song) {
    find("title").textContent = song.title;
    document.title = `${song.title} · pitchai`;
    find("roll").setAttribute("aria-valuemax", Math.floor(song.duration) + 1);
    find("roll").setAttribute("aria-label", say("roll_of", { n: song.notes.length }));
    drawParts(song, this.palette);
    this.chords?.open(song);
    this.doubts?.open(song);
    this.beats?.open(song);
    for (const id of ["loop-from", "loop-to"]) {
      find(id).min = song.bars[0]?.number ?? 1;
      find(id).max = song.bars.at(-1)?.number ?? 1;
    }
    find("loop-to").value ||= Math.min(4, song.bars.at(-1)?.number ?? 1);
    find("loop-bars").hidden = !song.bars.length;
    find("metronome").hidden = find("count-in").hidden = !song.beats.length;
    this.redrawText();
  }

  // A new view came from the server: the same place, the same note, other content.
  renew(view) {
    const song = (this.song = new Song(view));
    this.editing.open(song);
    this.player.open(song);
    for (const part of [this.roll, this.falling]) part.open(song);
    this.arrange(song);
    this.hands.again();
    // A long score takes a while to engrave: not after every edit of several.
    this.score.wait(song);
    clearTimeout(this.engraving);
    this.engraving = setTimeout(() => { if (this.song === song) this.score.open(song, this.source.score); }, ENGRAVE_AFTER);
    if (this.player.loop) this.loopBars();
    this.follow(this.player.playing);
  }

  // After an edit that the page itself has made already.
  redraw() {
    this.player.restart();
    this.roll.renew();
    this.falling.surface.request();
    this.redrawText();
  }

  saved(state) {
    find("saved").textContent = { saved: say("saved"), saving: say("saving") }[state] ?? state;
    find("saved").dataset.state = state;
    find("undo").disabled = !this.editing.edits.length;
    find("redo").disabled = !this.editing.undone.length;
  }

  follow(running) {
    const { player, song } = this;
    if (!song) return;
    const { position } = player;
    if (find("roll").offsetParent) this.roll.follow(position, running);
    else this.roll.position = position;
    if (find("falling").offsetParent) this.falling.follow(position);
    else this.falling.position = position;
    this.score.follow(position, running);
    const text = `${clock(position)} / ${clock(song.duration)}`, place = song.place(position);
    if (text === this.shown && place === this.placed) return;
    [this.shown, this.placed] = [text, place];
    find("clock").textContent = text;
    find("place").textContent = place;
    find("roll").setAttribute("aria-valuenow", Math.floor(position));
    find("roll").setAttribute("aria-valuetext", [clock(position), place].filter(Boolean).join(", "));
  }

  view(name) {
    this.shownView = name;
    document.querySelector(`input[name=view][value=${name}]`).checked = true;
    find("stage").dataset.view = name;
    const shown = { roll: ["roll"], falling: ["falling"], score: ["score"], both: ["score", "roll"], practice: ["score", "falling"] }[name];
    for (const id of ["roll", "falling", "score"]) find(`view-${id}`).hidden = !shown.includes(id);
    if (this.roll) this.roll.share = name === "both" ? 0.3 : 0.5; // of the window's height
    if (this.falling) this.falling.share = name === "practice" ? 0.36 : 0.6;
    this.roll?.resize();
    this.falling?.resize();
    this.score?.follow(this.player.position, false);
  }

  zoom(factor) {
    if (find("roll").offsetParent) this.roll.zoom(factor);
    if (find("falling").offsetParent) this.falling.zoom(factor);
    if (find("stage").dataset.view === "score") this.score.zoom(factor);
  }

  speed(percent) {
    this.player.setRate(percent / 100);
    find("speed-now").textContent = `${percent} %`;
    find("speed").setAttribute("aria-valuetext", `${percent} %`);
  }

  transpose(semitones) { this.player.setTranspose(clamp(Math.round(semitones) || 0, -12, 12)); }

  toggled(id, on) {
    find(id).ariaPressed = String(on);
    if (id === "metronome") { this.player.metronome = on; this.player.restart(); }
    if (id === "count-in") this.player.countIn = on;
    if (id === "loop") this.loopBars();
  }

  toggleLoop() { if (!find("loop-bars").hidden) find("loop").click(); }

  // [ and ] put the ends of the loop at the bar that is played, and begin it.
  loopFrom() { this.loopAt("loop-from"); }
  loopTo() { this.loopAt("loop-to"); }
  loopAt(id) {
    const bar = this.song.barAt(this.player.position);
    if (!bar) return;
    find(id).value = bar.number;
    const [from, to] = ["loop-from", "loop-to"].map((name) => Number(find(name).value));
    if (from > to) find(id === "loop-from" ? "loop-to" : "loop-from").value = bar.number;
    if (find("loop").ariaPressed === "true") this.loopBars();
    else find("loop").click();
  }

  loopBars() {
    const { song, player } = this, on = find("loop").ariaPressed === "true";
    const [first, last] = ["loop-from", "loop-to"].map((id) => song.barNumbered(Number(find(id).value)));
    player.loop = on && first && last && last.offset > first.onset ? { from: first.onset, to: Math.min(last.offset, song.duration) } : null;
    if (on) tell(player.loop ? say("looping", { from: first.number, to: last.number }) : say("no_loop"));
    this.roll.loop = player.loop;
    this.roll.request();
  }

  // The recording alone, the transcription alone.
  switchSound() {
    const { player } = this, heard = player.volumes.recording > 0 && player.recording;
    for (const [name, volume] of [["recording", heard ? 0 : 1], ["transcription", heard ? 1 : 0]]) {
      player.setVolume(name, volume);
      find(`volume-${name}`).value = 100 * volume;
    }
    tell(say(heard ? "hear_transcription" : "hear_recording"));
  }
}
