"use strict";
// The sound and its clock: the recording (a media element, whose pitch is kept at any speed), the transcription (played
// by the sampler beside it), the metronome, loops and count-ins. Times are seconds of the recording.

const AHEAD = 0.25; // s of sound that is scheduled at a time
const EVERY = 40; // ms between two looks at what comes next

class Player {
  // recording: the address of a sound, or null. load(name): bytes of a sample.
  constructor({ recording, load }) {
    Object.assign(this, { load, audible: () => true, position: 0, rate: 1, transpose: 0, loop: null, metronome: false, countIn: false });
    this.playing = false;
    this.volumes = { recording: recording ? 1 : 0, transcription: recording ? 0 : 1 };
    this.moved = new Signal(); // the position is another
    this.switched = new Signal(); // it plays, or no longer
    if (recording) {
      this.recording = new Audio();
      this.recording.preservesPitch = true;
      this.recording.preload = "auto";
      this.recording.src = recording;
      // The music goes on where notes ring on.
      this.recording.addEventListener("ended", () => {
        if (this.playing && !this.counting) this.anchor(Math.max(this.position, this.recording.duration));
      });
    }
  }

  open(song) {
    this.song = song;
    this.restart();
  }

  get duration() { return this.song.duration; }
  get inRecording() { return Boolean(this.recording) && !this.recording.ended && !(this.position >= this.recording.duration); }

  now() {
    if (!this.playing || this.counting) return this.position;
    if (this.inRecording) return this.recording.currentTime;
    return this.from + (this.context.currentTime - this.since) * this.rate;
  }

  async prepare() {
    if (!this.context) {
      this.context = new AudioContext({ latencyHint: "interactive" });
      this.master = new GainNode(this.context, { gain: this.volumes.transcription });
      this.master.connect(new DynamicsCompressorNode(this.context, { threshold: -6, ratio: 8, attack: 0.003 })).connect(this.context.destination);
      this.sampler = new Sampler(this.context, this.master, this.load);
      this.sampler.prepare().then(() => this.restart());
    }
    if (this.context.state === "suspended") await this.context.resume();
  }

  async toggle() {
    if (this.playing) this.pause();
    else await this.play();
  }

  async play() {
    if (this.playing) return;
    if (this.position >= this.duration - 0.05) this.seek(0);
    if (this.loop && !(this.position >= this.loop.from - 0.01 && this.position < this.loop.to - 0.05)) this.seek(this.loop.from);
    this.playing = true;
    this.switched.send(true);
    await this.prepare();
    this.shift();
    if (!this.playing) return; // paused before it could begin
    const wait = this.countIn ? this.count() : 0;
    if (wait) this.counting = setTimeout(() => { this.counting = 0; this.begin(); }, 1000 * wait);
    else this.begin();
  }

  // Clicks of a bar before the music; returns how many seconds they take.
  count() {
    const bar = this.song.barAt(this.position), [number] = (bar?.metre || "4/4").split("/").map(Number);
    const beats = bar?.metre && /\/(8|16)$/.test(bar.metre) && number % 3 === 0 && number > 3 ? number / 3 : number;
    const seconds = this.song.beatLength / this.rate, start = this.context.currentTime + 0.05;
    for (let beat = 0; beat < beats; beat++) this.sampler.click(start + beat * seconds, beat === 0);
    return 0.05 + beats * seconds;
  }

  begin() {
    if (this.inRecording) {
      this.recording.playbackRate = this.rate;
      this.recording.volume = this.volumes.recording;
      // Who pauses before the first sound has come breaks a promise of the browser's, and means it.
      this.recording.play().catch((error) => { if (error.name !== "AbortError") throw error; });
    }
    this.anchor(this.position);
    clearInterval(this.timer);
    this.timer = setInterval(() => this.look(), EVERY);
    this.look();
    this.run();
  }

  // Go on from a position: what is to come is scheduled anew.
  anchor(position) {
    this.sampler.silence();
    [this.position, this.from, this.scheduled] = [position, position, position];
    this.since = this.context.currentTime;
    [this.fresh, this.moving] = [true, !this.inRecording];
  }

  // The same place at another speed, or with other notes.
  restart() {
    if (this.playing && !this.counting && this.since !== undefined) this.anchor(clamp(this.now(), 0, this.duration));
  }

  look() {
    if (!this.playing || this.counting) return;
    const now = this.now(), { loop } = this;
    if (loop && now >= loop.to - 0.015) return this.seek(loop.from);
    if (now >= this.duration) return this.end();
    // A recording takes a moment to start; what is played beside it waits.
    this.moving ||= this.recording.currentTime > this.from + 1e-3 || this.recording.currentTime < this.from - 0.5;
    if (!this.moving) return;
    const until = Math.min(now + AHEAD * this.rate, loop ? loop.to : Infinity);
    if (until > this.scheduled) this.schedule(now, until);
  }

  schedule(now, until) {
    const at = (time) => this.context.currentTime + Math.max(0, (time - now) / this.rate);
    const { song, scheduled, fresh } = this;
    if (this.volumes.transcription > 0) {
      song.within(scheduled, until, (note) => {
        const begun = note.onset < scheduled;
        if ((begun && !fresh) || note.kind === MISS || !this.audible(note)) return;
        const from = Math.max(note.onset, scheduled), pitch = clamp(note.pitch + this.transpose, 0, 127);
        this.sampler.strike({ pitch, velocity: note.velocity }, at(from), (this.damped(note) - from) / this.rate, from - note.onset);
      });
      for (const drum of song.drums.slice(upTo(song.drums, scheduled, (d) => d.onset - 1e-9), upTo(song.drums, until, (d) => d.onset)))
        this.sampler.drum(config.drums.indexOf(drum.label), drum.velocity, at(drum.onset));
    }
    if (this.metronome)
      for (const beat of song.beats.slice(upTo(song.beats, scheduled - 1e-9), upTo(song.beats, until - 1e-9)))
        this.sampler.click(at(beat), song.isDownbeat(beat));
    this.scheduled = until;
    this.fresh = false;
  }

  // When the dampers fall: at the key's release, or at the end of the pedal that is down then.
  damped(note) {
    const pedal = this.song.pedals[upTo(this.song.pedals, note.offset, (p) => p.onset) - 1];
    return pedal && pedal.offset > note.offset ? pedal.offset : note.offset;
  }

  run() {
    if (!this.playing) return;
    if (!this.counting) {
      this.position = clamp(this.now(), 0, this.duration);
      this.moved.send(true);
    }
    requestAnimationFrame(() => this.run());
  }

  halt() {
    this.playing = false;
    clearInterval(this.timer);
    clearTimeout(this.counting);
    this.counting = 0;
    this.recording?.pause();
    this.sampler?.silence();
    this.switched.send(false);
    this.moved.send(false);
  }

  pause() {
    if (!this.playing) return;
    this.position = clamp(this.now(), 0, this.duration);
    this.halt();
  }

  end() {
    if (this.loop) return this.seek(this.loop.from);
    this.position = this.duration;
    this.halt();
  }

  seek(seconds) {
    this.position = clamp(seconds, 0, this.duration);
    if (this.recording) {
      this.recording.currentTime = Math.min(this.position, this.recording.duration || this.position);
      if (this.playing && !this.counting && this.recording.paused) this.recording.play().catch(() => {});
    }
    if (this.playing && !this.counting) this.anchor(this.position);
    this.moved.send(this.playing);
  }

  setRate(rate) {
    this.position = this.now();
    this.rate = rate;
    if (this.recording) this.recording.playbackRate = rate;
    this.restart();
  }

  setVolume(name, volume) {
    const before = this.volumes[name];
    this.volumes[name] = volume;
    if (name === "recording" && this.recording) this.recording.volume = volume;
    if (name === "transcription" && this.master) this.master.gain.setTargetAtTime(volume, this.context.currentTime, 0.02);
    if (name === "transcription" && !before) this.restart();
  }

  setTranspose(semitones) {
    this.transpose = semitones;
    this.shift();
    this.restart();
    this.moved.send(this.playing);
  }

  // The recording goes through the shifter from the first time on that it is transposed.
  shift() {
    if (!this.recording || !this.context || (!this.transpose && !this.shifter)) return;
    if (!this.shifter) {
      this.shifter = new Shifter(this.context);
      this.direct = new MediaElementAudioSourceNode(this.context, { mediaElement: this.recording });
      this.shifter.output.connect(this.context.destination);
    }
    this.direct.disconnect();
    this.direct.connect(this.transpose ? this.shifter.input : this.context.destination);
    this.shifter.semitones = this.transpose;
  }
}
