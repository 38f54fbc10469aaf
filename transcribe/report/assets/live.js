"use strict";
// Live: the microphone's samples go to the server as they come, and what it hears comes back while it sounds.

// Where the connection is slower than the sound, so many seconds wait to be sent; the rest is lost, and counted.
const MOST_WAITING = 2;
const LIVE_SECONDS = 5; // on the roll
const STILL_EVERY = 0.5; // seconds between pictures, for those who want no motion

// Notes rise from the keys that were struck.
class Rising extends Falling {
  // The keys stay on the screen.
  resize() {
    const { top, width } = this.element.getBoundingClientRect();
    if (width) this.surface.resize(this.element.clientWidth, clamp(innerHeight - top - scrollY - 48, 260, 640));
  }

  draw(g, width, height) {
    const { palette, song, position } = this;
    this.ground(g, width, height);
    const y = (time) => this.floor - ((position - time) / this.ahead) * this.floor, lit = new Map();
    for (const note of song.notes) {
      const [x, w] = this.keys.get(note.pitch), colour = palette.of(note), sounds = note.offset === undefined;
      const top = Math.min(y(note.onset), this.floor - 3), bottom = sounds ? this.floor : Math.min(y(note.offset), this.floor);
      g.fillStyle = colour;
      g.fillRect(x * width + 1, top, Math.max(w * width - 2, 3), Math.max(bottom - top, 3));
      if (sounds) lit.set(note.pitch, colour);
    }
    this.drawKeys(g, width, height, lit);
  }
}

class Live {
  // warn(text) says what went wrong, kept(id) is told of a recording that is in the library now.
  constructor(warn, kept) {
    Object.assign(this, { warn, kept, state: "idle", take: null });
    this.palette = new Palette();
    this.palette.by = "loudness";
    this.song = { notes: [], beats: [], range: () => [21, 108] };
    this.roll = new Rising(find("live-roll"), this.song, this.palette, () => {});
    this.roll.ahead = LIVE_SECONDS;
    find("live-start").addEventListener("click", () => this.start());
    find("live-keep").addEventListener("click", () => this.end("keep"));
    find("live-drop").addEventListener("click", () => this.drop());
  }

  become(state) {
    this.state = state;
    const runs = state === "running", idle = state === "idle";
    find("live").dataset.state = state;
    find("live-start").hidden = !idle;
    find("live-keep").hidden = find("live-drop").hidden = idle;
    find("live-keep").disabled = find("live-drop").disabled = !runs;
    find("latency").disabled = !idle;
    find("live-drop").textContent = say("live_drop");
    delete find("live-drop").dataset.sure;
  }

  async start() {
    if (this.state !== "idle") return;
    const take = (this.take = { closed: false });
    this.become("starting");
    this.song.notes = [];
    this.show({ time: 0, notes: 0, level: -60, clipped: 0, lost: 0, sounding: [], pedal: false, chord: null, key: null });
    find("live-word").textContent = say("live_starting");
    try {
      take.stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
      take.context = new AudioContext({ latencyHint: "interactive" });
      await take.context.audioWorklet.addModule("/assets/capture.js");
      await take.context.resume();
    } catch {
      this.warn(say("no_microphone"));
      return this.closed(take);
    }
    if (take.closed) return this.release(take); // somebody went away meanwhile
    for (const track of take.stream.getTracks()) track.addEventListener("ended", () => { if (this.take === take) this.end("keep"); });
    const socket = (take.socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/api/live`));
    const stamp = new Date().toISOString().slice(0, 16).replace("T", " ").replace(":", ".");
    socket.addEventListener("open", () => socket.send(JSON.stringify({
      latency: Number(find("latency").value), rate: Math.round(take.context.sampleRate), name: say("live_name", { date: stamp }),
    })));
    socket.addEventListener("message", (event) => { if (!take.closed) this.told(take, JSON.parse(event.data)); });
    socket.addEventListener("close", (event) => this.closed(take, event));
  }

  told(take, message) {
    if (message.ready) this.hear(take);
    else if (message.event) this.happened(message);
    else if (message.state) this.show(message.state);
    else if (message.word) find("live-word").textContent = message.word;
    else if ("kept" in message) take.kept = message.kept;
  }

  // The server is ready: from here on the microphone is heard.
  hear(take) {
    const { context, socket } = take, node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    const most = MOST_WAITING * 2 * context.sampleRate;
    node.port.onmessage = ({ data }) => {
      take.began ??= context.currentTime - (data.byteLength - 4) / 2 / context.sampleRate;
      const open = this.take === take && this.state === "running" && socket.readyState === WebSocket.OPEN;
      if (open && socket.bufferedAmount < most) socket.send(data);
    };
    context.createMediaStreamSource(take.stream).connect(node);
    find("live-word").textContent = "";
    this.become("running");
    find("live-keep").focus();
    tell(say("live_listening"));
    this.draw(take, 0);
  }

  draw(take, before) {
    if (this.take !== take || this.state === "idle") return;
    const now = take.context.currentTime - (take.began ?? take.context.currentTime), due = !stillness.matches || now - before >= STILL_EVERY;
    if (due) this.roll.follow(now);
    requestAnimationFrame(() => this.draw(take, due ? now : before));
  }

  happened({ event, time, pitch, velocity }) {
    const { song } = this, sounding = song.notes.findLast((note) => note.pitch === pitch && note.offset === undefined);
    if (sounding && event.startsWith("note")) sounding.offset = Math.max(time, sounding.onset);
    if (event !== "note on") return;
    song.notes = song.notes.filter((note) => note.offset === undefined || note.offset > time - LIVE_SECONDS - 1);
    song.notes.push({ onset: time, pitch, velocity });
  }

  show(state) {
    if (state.key !== this.key) names = namesIn((this.key = state.key));
    find("live-time").textContent = clock(state.time);
    find("live-notes").textContent = state.notes + state.sounding.length;
    find("live-chord").textContent = signed(state.chord || "–");
    find("live-key").textContent = signed(state.key || "–");
    find("live-pedal").textContent = say(state.pedal ? "pedal_down" : "pedal_up");
    find("live-sounding").textContent = state.sounding.map(pitchName).join(" ") || "–";
    find("live-level").value = state.level;
    find("live-db").textContent = say("decibels", { n: Math.round(Math.max(state.level, -60)) });
    const faults = [];
    if (state.clipped) faults.push(say("live_clipped", { n: state.clipped }));
    if (state.lost) faults.push(say("live_lost", { seconds: state.lost.toFixed(1) }));
    find("live-faults").textContent = faults.join(" · ");
  }

  // Throwing away asks for a second press: what is gone is gone.
  drop() {
    const button = find("live-drop");
    if (button.dataset.sure) return this.end("drop");
    button.dataset.sure = "yes";
    button.textContent = say("live_really");
  }

  end(wish) {
    if (this.state !== "running") return;
    this.become("ending");
    this.take.wish = wish;
    find("live-word").textContent = say("live_ending");
    this.release(this.take);
    if (this.take.socket.readyState === WebSocket.OPEN) this.take.socket.send(JSON.stringify({ end: wish }));
  }

  // Who goes elsewhere on the page keeps what was heard.
  leave() {
    if (this.state === "running") this.end("keep");
    else if (this.state === "starting") {
      const { take } = this;
      this.closed(take);
      take.socket?.close();
    }
  }

  // The microphone is let go at once.
  release(take) {
    for (const track of take.stream?.getTracks() ?? []) track.stop();
    if (take.context && take.context.state !== "closed") take.context.close();
  }

  closed(take, event) {
    if (take.closed) return;
    take.closed = true;
    this.release(take);
    this.become("idle");
    find("live-word").textContent = "";
    for (const note of this.song.notes) note.offset ??= note.onset;
    this.song.notes = [];
    this.roll.surface.request();
    if (event && event.code !== 1000) this.warn(event.reason || say("live_broken"));
    if (take.kept) this.kept(take.kept);
    else if (event?.code === 1000) tell(say(take.wish === "keep" ? "live_nothing" : "live_dropped"));
  }
}
